defmodule Comporta.Pipeline.Pace do
  @moduledoc """
  How many records a batch is aimed at: as many as keep a worker busy for about a tenth of a second.

  Each batch costs a few hundred microseconds besides its records, so that longer ones would save little. Of a slow
  transform they would keep a worker busy while others have nothing left to do, be late with what they find, and be long
  to do again after a death. What a record costs is an average in which the newest batches count most; while it is not
  known, batches are small. However quick records are, a batch is no larger than `COMPORTA_BATCH_BYTES`.
  """

  @aim_us 100_000
  @first 1_000
  @least 100
  # What a worker makes of a batch grows with its records, and tiny ones are many to a MiB.
  @most 50_000
  @newest 0.3

  defstruct us_a_record: nil

  @opaque t :: %__MODULE__{us_a_record: float | nil}

  @doc "Of a pipeline in which nothing was worked on yet."
  @spec new() :: t
  def new, do: %__MODULE__{}

  @doc "A worker took so many microseconds for so many records."
  @spec worked(t, non_neg_integer, non_neg_integer) :: t
  def worked(pace, _took_us, 0), do: pace
  def worked(%{us_a_record: nil}, took_us, records), do: %__MODULE__{us_a_record: took_us / records}

  def worked(%{us_a_record: before}, took_us, records),
    do: %__MODULE__{us_a_record: before + @newest * (took_us / records - before)}

  @doc "The records that a batch is to have at most."
  @spec records(t) :: pos_integer
  def records(%{us_a_record: nil}), do: @first
  def records(%{us_a_record: cost}), do: trunc(@aim_us / max(cost, @aim_us / @most)) |> max(@least)
end
