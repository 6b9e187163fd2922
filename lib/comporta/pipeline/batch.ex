defmodule Comporta.Pipeline.Batch do
  @moduledoc """
  A range of a partition's offsets on its way from the source to a worker, `first` up to but not including `next`.

  `base` is the offset of the payload's first record, so that a range is narrowed without touching the payload.
  `count` is the source's count of records (at most: what a worker decodes decides). `assignment` numbers the time
  that the source took the partition on, and `start` is where its reading began then. `mark` and `replay` travel
  unread: the source's fingerprint of what lies before `next`, and the letter that a replayed record was. It
  `arrived_at` this BEAM then, by `Comporta.Profile`. A batch that is `lost` has no records, for they were deleted before they could be read.
  """

  @enforce_keys [:partition, :shown, :assignment, :start, :format, :base, :first, :next, :count, :payload]
  defstruct @enforce_keys ++ [mark: "", arrival_ms: 0, arrived_at: 0, replay: nil, lost: false]

  @type t :: %__MODULE__{
          partition: binary,
          shown: binary,
          assignment: pos_integer,
          start: non_neg_integer,
          format: :lines | :records | :oversized,
          base: non_neg_integer,
          first: non_neg_integer,
          next: non_neg_integer,
          count: non_neg_integer,
          mark: binary,
          arrival_ms: integer,
          arrived_at: integer,
          replay: list | nil,
          lost: boolean,
          payload: binary
        }

  @doc "What tells a batch from every other of the pipeline, without its bytes."
  @spec key(t) :: {binary, pos_integer, non_neg_integer}
  def key(batch), do: {batch.partition, batch.assignment, batch.first}
end
