defmodule Comporta.Pipeline.Result do
  @moduledoc """
  What a worker made of a range of offsets: the counts of the ledger, and a payload that only the store reads.

  A batch that was halved comes out as several results, each with its own range. `mark` is that of the batch where the
  result reaches the batch's end, and empty, for unknown, before. A worker worked on it
  for `took_us` microseconds.
  """

  alias Comporta.Ledger

  @enforce_keys [:partition, :assignment, :start, :first, :next, :ledger, :payload]
  defstruct @enforce_keys ++ [mark: "", replay: nil, took_us: 0]

  @type t :: %__MODULE__{
          partition: binary,
          assignment: pos_integer,
          start: non_neg_integer,
          first: non_neg_integer,
          next: non_neg_integer,
          ledger: Ledger.t(),
          mark: binary,
          replay: list | nil,
          took_us: non_neg_integer,
          payload: binary
        }
end
