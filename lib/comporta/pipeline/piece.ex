defmodule Comporta.Pipeline.Piece do
  @moduledoc """
  A range of a batch that a worker works on: the whole batch at first, then ever smaller parts of it where it kills
  workers, until the records that do it stand alone.

  `count` and `middle` are what a worker said when it had decoded the range, before it ran any user code. A lone record
  is poison after three deaths in a row, each on a fresh worker; its `verdict` then tells a worker to make it a dead
  letter without running user code.
  """

  alias Comporta.Pipeline.Batch
  alias Comporta.Python.Death

  @deaths_of_poison 3

  @enforce_keys [:batch, :first, :next]
  defstruct @enforce_keys ++ [count: nil, middle: nil, deaths: 0, verdict: nil]

  @type t :: %__MODULE__{
          batch: Batch.t(),
          first: non_neg_integer,
          next: non_neg_integer,
          count: non_neg_integer | nil,
          middle: non_neg_integer | nil,
          deaths: non_neg_integer,
          verdict: {atom, String.t()} | nil
        }

  @doc "The whole of a batch."
  @spec whole(Batch.t()) :: t
  def whole(batch), do: %__MODULE__{batch: batch, first: batch.first, next: batch.next}

  @doc "Notes what a worker found in the range."
  @spec decoded(t, non_neg_integer, non_neg_integer | nil) :: t
  def decoded(piece, count, middle), do: %{piece | count: count, middle: middle}

  @doc """
  Charges a worker's death to the range: it is halved, tried again, or found to be poison. `:hopeless` where even
  making a dead letter of it kills workers.
  """
  @spec charge(t, Death.t()) :: {:pieces, [t, ...]} | :hopeless
  def charge(%{verdict: nil, count: count, middle: middle} = piece, _death)
      when is_integer(count) and count > 1 and is_integer(middle),
      do: halve(piece, middle)

  def charge(piece, death) do
    deaths = piece.deaths + 1

    cond do
      deaths < @deaths_of_poison -> {:pieces, [%{piece | deaths: deaths}]}
      piece.verdict != nil -> :hopeless
      # Its decoding kills: the bytes tell nothing of records, so the range itself is halved.
      piece.count == nil and piece.next - piece.first > 1 -> halve(piece, div(piece.first + piece.next, 2))
      true -> {:pieces, [%{piece | deaths: 0, verdict: {reason(death), Death.message(death)}}]}
    end
  end

  defp halve(piece, middle) do
    half = %{piece | count: nil, middle: nil, deaths: 0}
    {:pieces, [%{half | next: middle}, %{half | first: middle}]}
  end

  @doc "Whether the range must have a worker that has not run anything else: its death there is held against it."
  @spec fresh?(t) :: boolean
  def fresh?(piece), do: piece.deaths > 0

  @doc "The header of the request to a worker."
  @spec header(t, non_neg_integer, boolean) :: map
  def header(%{batch: batch} = piece, id, probation?) do
    %{
      kind: :batch,
      id: id,
      format: batch.format,
      partition: batch.partition,
      shown: batch.shown,
      base: batch.base,
      first: piece.first,
      next: piece.next,
      arrival_ms: batch.arrival_ms,
      probation: probation?,
      replay: batch.replay,
      reason: piece.verdict && Atom.to_string(elem(piece.verdict, 0)),
      verdict: piece.verdict && elem(piece.verdict, 1)
    }
  end

  defp reason(%Death{cause: :timeout}), do: :timeout
  defp reason(%Death{cause: :memory}), do: :memory
  defp reason(%Death{}), do: :crash
end
