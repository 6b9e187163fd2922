defmodule Comporta.Notes do
  @moduledoc """
  What is worth a word beside the ledger, counted since the BEAM began, and no part of the ledger's equation.

  | count | what |
  | --- | --- |
  | `:lost_offsets` | offsets that were deleted before they were processed |
  | `:lost_claims` | how often claims were seen to be gone |
  | `:late`, `:expired` | rows not counted, as they came too late, or are older than results are kept |
  | `:without_id` | rows that were counted without being deduplicated |

  Each count has one writer, a stage of the pipeline; they stand in `Comporta.Status`.
  """

  alias Comporta.Status

  @rows [:late, :expired, :without_id]
  @counts [:lost_offsets, :lost_claims | @rows]

  @type t :: %{atom => non_neg_integer}

  @doc "The counts of rows in a frame's header; `:error` where one is missing or not a count."
  @spec rows(map) :: {:ok, t} | :error
  def rows(header) do
    rows = Map.take(header, @rows)

    if map_size(rows) == length(@rows) and Enum.all?(rows, fn {_, n} -> is_integer(n) and n >= 0 end),
      do: {:ok, rows},
      else: :error
  end

  @doc "Adds to a pipeline's counts."
  @spec add(String.t(), t) :: :ok
  def add(pipeline, counts) do
    for {count, amount} <- counts, amount > 0, do: Status.add(pipeline, count, amount)
    :ok
  end

  @doc "All counts of a pipeline; of one that never ran, zeros."
  @spec all(String.t() | nil) :: t
  def all(pipeline), do: Map.new(@counts, &{&1, Status.get(pipeline, &1, 0)})
end
