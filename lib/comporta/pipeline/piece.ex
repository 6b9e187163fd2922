defmodule Comporta.Pipeline.Piece do
  @moduledoc """
  A range of a batch that a worker works on: the whole batch at first, then ever smaller parts of it where it kills
  workers, until the records that do it stand alone.

  `count` and `middle` are what a worker said of the range: first what headers show (`outlined`), where `middle` is
  between two of Kafka's record batches, then what it found when it had decoded it, before it ran any user code. A
  `middle` of `nil` is that of a range that cannot be halved: a lone record, or a lone record batch that nobody has
  decoded. Such a range is poison after three deaths in a row, each on a fresh worker; its `verdict` then tells a worker
  to make dead letters of it without running user code, and, if the reason is `:undecodable`, without decoding it.
  """

  alias Comporta.Pipeline.Batch
  alias Comporta.Python.Death

  @deaths_of_poison 3

  @enforce_keys [:batch, :first, :next]
  defstruct @enforce_keys ++ [count: nil, middle: nil, decoded?: false, deaths: 0, verdict: nil]

  @type t :: %__MODULE__{
          batch: Batch.t(),
          first: non_neg_integer,
          next: non_neg_integer,
          count: non_neg_integer | nil,
          middle: non_neg_integer | nil,
          decoded?: boolean,
          deaths: non_neg_integer,
          verdict: {atom, String.t()} | nil
        }

  @doc "The whole of a batch."
  @spec whole(Batch.t()) :: t
  def whole(batch), do: %__MODULE__{batch: batch, first: batch.first, next: batch.next}

  @doc "Notes what headers show of the range."
  @spec outlined(t, non_neg_integer, non_neg_integer | nil) :: t
  def outlined(piece, count, middle), do: %{piece | count: count, middle: middle}

  @doc "Notes what a worker found in the range."
  @spec decoded(t, non_neg_integer, non_neg_integer | nil) :: t
  def decoded(piece, count, middle), do: %{piece | count: count, middle: middle, decoded?: true}

  @doc """
  Charges a worker's death to the range: it is halved, tried again, or found to be poison. `:hopeless` where even
  making dead letters of it kills workers, or reading it before anything is said of it.
  """
  @spec charge(t, Death.t()) :: {:pieces, [t, ...]} | :hopeless
  def charge(%{first: first, middle: middle, next: next} = piece, _death)
      when is_integer(middle) and first < middle and middle < next do
    half = %{piece | count: nil, middle: nil, decoded?: false, deaths: 0}
    {:pieces, [%{half | next: middle}, %{half | first: middle}]}
  end

  def charge(piece, death) do
    deaths = piece.deaths + 1

    cond do
      deaths < @deaths_of_poison -> {:pieces, [%{piece | deaths: deaths}]}
      piece.count == nil or match?({:undecodable, _}, piece.verdict) -> :hopeless
      piece.decoded? and piece.verdict == nil -> condemn(piece, reason(death), Death.message(death))
      true -> condemn(piece, :undecodable, "decoding it kills workers; the last one #{Death.message(death)}")
    end
  end

  defp condemn(piece, reason, words), do: {:pieces, [%{piece | deaths: 0, verdict: {reason, words}}]}

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
