defmodule Comporta.Ledger do
  @moduledoc """
  What became of records: `consumed = counted + dropped + duplicates + dead`, per partition and for the whole.
  """

  @counts [:consumed, :counted, :dropped, :duplicates, :dead]
  @replay "replay"

  @type t :: %{
          consumed: non_neg_integer,
          counted: non_neg_integer,
          dropped: non_neg_integer,
          duplicates: non_neg_integer,
          dead: integer
        }

  @doc "A ledger of nothing."
  @spec new() :: t
  def new, do: Map.new(@counts, &{&1, 0})

  @doc "The ledger's counts in a frame's header; `:error` where one is missing or not a count."
  @spec from_header(map) :: {:ok, t} | :error
  def from_header(header) do
    ledger = Map.take(header, @counts)

    if map_size(ledger) == length(@counts) and Enum.all?(ledger, fn {_, n} -> is_integer(n) and n >= 0 end),
      do: {:ok, ledger},
      else: :error
  end

  @doc "The sum of two ledgers."
  @spec add(t, t) :: t
  def add(left, right), do: Map.merge(left, right, fn _count, a, b -> a + b end)

  @doc """
  The ledger of all partitions together, from a map of partition to ledger.

  A record is consumed once: a letter that was replayed stands where it ended instead of under `dead`.
  """
  @spec whole(%{binary => t}) :: t
  def whole(partitions) do
    {replayed, sources} = Map.pop(partitions, @replay, new())
    whole = sources |> Map.values() |> Enum.reduce(new(), &add/2)
    outcome = add(whole, %{replayed | consumed: 0})
    %{outcome | dead: outcome.dead - replayed.consumed}
  end

  @doc "Whether every record consumed is accounted for."
  @spec balanced?(t) :: boolean
  def balanced?(ledger) do
    ledger.consumed == ledger.counted + ledger.dropped + ledger.duplicates + ledger.dead
  end
end
