defmodule Comporta.Pipeline.Assignments do
  @moduledoc """
  What the source's stage knows of its partitions: under which assignment each is read, what of it is in flight, how far
  it is folded and durable, and where its end is.

  The source names its partitions in payloads that only Python reads; each payload is one assignment. Of a partition
  only the newest counts, and none once it is revoked.
  """

  alias Comporta.Pipeline.{Batch, Result}

  defstruct last: 0,
            opening: MapSet.new(),
            partitions: %{},
            revoked: %{},
            in_flight: %{},
            ends: %{},
            elsewhere: %{},
            lost: %{},
            listed?: false

  @type t :: %__MODULE__{
          last: non_neg_integer,
          opening: MapSet.t(pos_integer),
          partitions: %{binary => partition},
          revoked: %{binary => non_neg_integer},
          in_flight: %{
            term => {next :: non_neg_integer, bytes :: non_neg_integer, records :: non_neg_integer}
          },
          ends: %{binary => non_neg_integer},
          elsewhere: %{binary => non_neg_integer},
          lost: %{binary => non_neg_integer},
          listed?: boolean
        }
  @typep partition :: %{
           assignment: pos_integer,
           start: non_neg_integer,
           folded: non_neg_integer,
           checkpoint: non_neg_integer
         }

  @doc "No partitions yet."
  @spec new() :: t
  def new, do: %__MODULE__{}

  @doc "The source has taken on partitions: they are to be opened under the new assignment's number."
  @spec assign(t) :: {pos_integer, t}
  def assign(%{last: last} = assignments) do
    number = last + 1
    opening = MapSet.put(assignments.opening, number)
    {number, %{assignments | last: number, opening: opening}}
  end

  @doc "The store was lost: nothing is in flight any longer, and no partition is read until it is told of and opened again."
  @spec forget(t) :: t
  def forget(assignments) do
    %{assignments | listed?: false, opening: MapSet.new(), partitions: %{}, in_flight: %{}}
  end

  @doc "A partition is no longer this pipeline's, or is to be opened again: what is in flight of it is worth nothing."
  @spec revoke(t, binary) :: t
  def revoke(assignments, name) do
    %{
      assignments
      | partitions: Map.delete(assignments.partitions, name),
        revoked: Map.put(assignments.revoked, name, assignments.last),
        in_flight: Map.reject(assignments.in_flight, fn {{of, _under, _first}, _batch} -> of == name end)
    }
  end

  @doc "The source was lost: it names its partitions, and their ends, anew."
  @spec revoke_all(t) :: t
  def revoke_all(assignments), do: %__MODULE__{last: assignments.last, lost: assignments.lost}

  @doc "Whether a partition that the store has opened under an assignment is still wanted."
  @spec opening?(t, binary, pos_integer) :: boolean
  def opening?(assignments, name, number) do
    MapSet.member?(assignments.opening, number) and number > Map.get(assignments.revoked, name, 0)
  end

  @doc "The store has opened a partition."
  @spec opened(t, %{partition: binary, assignment: pos_integer, upto: non_neg_integer}) :: t
  def opened(assignments, %{partition: name, assignment: number, upto: upto}) do
    put_in(assignments.partitions[name], %{assignment: number, start: upto, folded: upto, checkpoint: upto})
  end

  @doc "The store has opened all partitions of an assignment."
  @spec opened_all(t, pos_integer) :: t
  def opened_all(assignments, number),
    do: %{assignments | opening: MapSet.delete(assignments.opening, number)}

  @doc "Where reading of a partition began under an assignment; `:stale` if it is read under another by now."
  @spec start(t, binary, pos_integer) :: {:ok, non_neg_integer} | :stale
  def start(assignments, name, number) do
    case assignments.partitions do
      %{^name => %{assignment: ^number, start: start}} -> {:ok, start}
      _ -> :stale
    end
  end

  @doc "A batch is in flight from now on."
  @spec in_flight(t, Batch.t()) :: t
  def in_flight(assignments, batch) do
    put_in(assignments.in_flight[Batch.key(batch)], {batch.next, byte_size(batch.payload), batch.count})
  end

  @doc "How many offsets a batch says are lost, and none did before: its range may come again, as any may."
  @spec lost(t, Batch.t()) :: {non_neg_integer, t}
  def lost(assignments, %Batch{lost: true, partition: name, first: first, next: next}) do
    known = Map.get(assignments.lost, name, 0)
    {max(0, next - max(first, known)), put_in(assignments.lost[name], max(next, known))}
  end

  def lost(assignments, _batch), do: {0, assignments}

  @doc "Batches that nobody will work on are not in flight."
  @spec dropped(t, [Batch.t()]) :: t
  def dropped(assignments, batches) do
    %{assignments | in_flight: Map.drop(assignments.in_flight, Enum.map(batches, &Batch.key/1))}
  end

  @doc "A result is folded: everything of its partition up to there is no longer in flight."
  @spec folded(t, Result.t()) :: t
  def folded(assignments, %{partition: name, assignment: number, next: next}) do
    case assignments.partitions do
      %{^name => %{assignment: ^number} = partition} ->
        in_flight =
          Map.reject(assignments.in_flight, fn {{of, under, _first}, {upto, _bytes, _records}} ->
            of == name and under == number and upto <= next
          end)

        %{put_in(assignments.partitions[name], %{partition | folded: next}) | in_flight: in_flight}

      _ ->
        assignments
    end
  end

  @doc "A partition's effects are durable up to there."
  @spec checkpoint(t, binary, non_neg_integer) :: t
  def checkpoint(assignments, name, upto) do
    case assignments.partitions do
      %{^name => partition} -> put_in(assignments.partitions[name], %{partition | checkpoint: upto})
      _ -> assignments
    end
  end

  @doc "The end that a partition had when the run started."
  @spec ends(t, binary, non_neg_integer) :: t
  def ends(assignments, name, offset), do: put_in(assignments.ends[name], offset)

  @doc "The source has named every partition that it has."
  @spec listed(t) :: t
  def listed(assignments), do: %{assignments | listed?: true}

  @doc "A partition is durable up to there, whoever reads it."
  @spec elsewhere(t, binary, non_neg_integer) :: t
  def elsewhere(assignments, name, upto), do: put_in(assignments.elsewhere[name], upto)

  @doc """
  How far every partition has come on the way to its end: all are durable, or all but some that others read, or all that
  are read here are folded, or not.
  """
  @spec end_reached(t) :: :checkpoint | :elsewhere | :folded | :no
  def end_reached(%{listed?: true} = assignments) do
    cond do
      MapSet.size(assignments.opening) > 0 -> :no
      reached?(assignments, :checkpoint) -> if elsewhere?(assignments), do: :checkpoint, else: :elsewhere
      reached?(assignments, :folded) -> :folded
      true -> :no
    end
  end

  def end_reached(_assignments), do: :no

  defp reached?(assignments, position) do
    Enum.all?(assignments.partitions, fn {name, partition} ->
      case assignments.ends do
        %{^name => offset} -> Map.fetch!(partition, position) >= offset
        _ -> false
      end
    end)
  end

  defp elsewhere?(assignments) do
    Enum.all?(assignments.ends, fn {name, offset} ->
      Map.has_key?(assignments.partitions, name) or Map.get(assignments.elsewhere, name, -1) >= offset
    end)
  end

  @doc "Whether nothing is in flight."
  @spec idle?(t) :: boolean
  def idle?(assignments), do: map_size(assignments.in_flight) == 0

  @doc "Whether everything that was read is durable."
  @spec settled?(t) :: boolean
  def settled?(assignments) do
    idle?(assignments) and Enum.all?(assignments.partitions, fn {_name, of} -> of.checkpoint >= of.folded end)
  end

  @doc "Bytes in flight."
  @spec bytes(t) :: non_neg_integer
  def bytes(assignments), do: sum(assignments, &elem(&1, 1))

  @doc "Records in flight, as the source counted them."
  @spec records(t) :: non_neg_integer
  def records(assignments), do: sum(assignments, &elem(&1, 2))

  defp sum(assignments, field), do: assignments.in_flight |> Map.values() |> Enum.map(field) |> Enum.sum()

  @doc "How far the partitions are behind `ends`, a list of `[partition, offset]`, together."
  @spec lag(t, [[term]]) :: non_neg_integer
  def lag(assignments, ends) do
    ends
    |> Enum.map(fn [name, offset] -> behind(assignments.partitions[name], offset) end)
    |> Enum.sum()
  end

  defp behind(nil, _offset), do: 0
  defp behind(partition, offset), do: max(0, offset - partition.folded)
end
