defmodule Comporta.Pipeline.Piece do
  @moduledoc """
  A range of a batch that a worker works on: the whole batch at first, then ever smaller parts of it where it kills
  workers, until the records that do it stand alone.

  `count` and `middle` are what a worker said of the range: first what headers show (`outlined`), where `middle` is
  between two of Kafka's record batches, then what it found when it had decoded it, before it ran any user code. A
  `middle` of `nil` is that of a range that cannot be halved: a lone record, or a lone record batch that nobody has
  decoded. Such a range is poison after three deaths in a row, each on a fresh worker; its `verdict` then tells a worker
  to make dead letters of it without running user code, and, if the reason is `:undecodable`, without decoding it.

  The first death of a range whose worker can note the record that it is at (`notes?`) has the range tried once more, on
  a fresh worker that does: `care` is then `:careful`. One more death cuts the record that was noted out of the range.
  Where nothing was noted that could be trusted, `care` is `:spent`, and the range is halved. So is what came before a
  record that was noted: that a worker has passed it, and it kills the next one, no note explains.
  """

  alias Comporta.Pipeline.{Batch, Note}
  alias Comporta.Python.Death

  @deaths_of_poison 3

  @enforce_keys [:batch, :first, :next]
  defstruct @enforce_keys ++
              [count: nil, middle: nil, decoded?: false, notes?: false, care: :due, deaths: 0, verdict: nil]

  @type t :: %__MODULE__{
          batch: Batch.t(),
          first: non_neg_integer,
          next: non_neg_integer,
          count: non_neg_integer | nil,
          middle: non_neg_integer | nil,
          decoded?: boolean,
          notes?: boolean,
          care: :due | :careful | :spent,
          deaths: non_neg_integer,
          verdict: {atom, String.t()} | nil
        }

  @doc "The whole of a batch."
  @spec whole(Batch.t()) :: t
  def whole(batch), do: %__MODULE__{batch: batch, first: batch.first, next: batch.next}

  @doc "Notes what headers show of the range."
  @spec outlined(t, non_neg_integer, non_neg_integer | nil) :: t
  def outlined(piece, count, middle), do: %{piece | count: count, middle: middle}

  @doc "Notes what a worker found in the range, and whether it can note the record that it is at."
  @spec decoded(t, non_neg_integer, non_neg_integer | nil, boolean) :: t
  def decoded(piece, count, middle, notes?),
    do: %{piece | count: count, middle: middle, decoded?: true, notes?: notes?}

  @doc """
  Charges a worker's death to the range: it is tried again, cut around the record that was noted, halved, or found to be
  poison. `:hopeless` where even making dead letters of it kills workers, or reading it before anything is said of it.
  """
  @spec charge(t, Death.t(), Note.range() | nil) :: {:pieces, [t, ...]} | :hopeless
  def charge(%{first: first, middle: middle, next: next} = piece, _death, noted)
      when is_integer(middle) and first < middle and middle < next do
    case piece do
      %{care: :careful} -> {:pieces, cut(%{piece | care: :spent}, noted)}
      %{care: :due, decoded?: true, notes?: true, verdict: nil} -> {:pieces, [carefully(piece)]}
      _ -> {:pieces, halves(piece)}
    end
  end

  def charge(piece, death, _noted) do
    deaths = piece.deaths + 1

    cond do
      deaths < @deaths_of_poison -> {:pieces, [%{piece | deaths: deaths}]}
      piece.count == nil or match?({:undecodable, _}, piece.verdict) -> :hopeless
      piece.decoded? and piece.verdict == nil -> condemn(piece, reason(death), Death.message(death))
      true -> condemn(piece, :undecodable, "decoding it kills workers; the last one #{Death.message(death)}")
    end
  end

  # Where it can be halved stays known, should its worker die before it says so again.
  defp carefully(piece), do: %{piece | count: nil, decoded?: false, care: :careful}

  # The worker was fresh, so that its death is the first of those that the record is charged with.
  defp cut(%{first: first, next: next} = piece, {from, upto})
       when first <= from and from < upto and upto <= next and upto - from < next - first do
    Enum.filter(
      [
        part(piece, first, from),
        %{part(piece, from, upto) | deaths: 1},
        %{part(piece, upto, next) | care: :due}
      ],
      &(&1.first < &1.next)
    )
  end

  defp cut(piece, _noted), do: halves(piece)

  defp halves(%{first: first, middle: middle, next: next} = piece),
    do: [part(piece, first, middle), part(piece, middle, next)]

  defp part(piece, first, next),
    do: %{piece | first: first, next: next, count: nil, middle: nil, decoded?: false, deaths: 0}

  defp condemn(piece, reason, words), do: {:pieces, [%{piece | deaths: 0, verdict: {reason, words}}]}

  @doc "Whether the range must have a worker that has not run anything else: its death there is held against it."
  @spec fresh?(t) :: boolean
  def fresh?(piece), do: piece.deaths > 0 or careful?(piece)

  @doc "Whether its worker is to note which record it is at."
  @spec careful?(t) :: boolean
  def careful?(piece), do: piece.care == :careful

  @doc "The header of the request to a worker."
  @spec header(t, non_neg_integer, boolean, Path.t() | nil) :: map
  def header(%{batch: batch} = piece, id, probation?, note) do
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
      note: note,
      reason: piece.verdict && Atom.to_string(elem(piece.verdict, 0)),
      verdict: piece.verdict && elem(piece.verdict, 1)
    }
  end

  defp reason(%Death{cause: :timeout}), do: :timeout
  defp reason(%Death{cause: :memory}), do: :memory
  defp reason(%Death{}), do: :crash
end
