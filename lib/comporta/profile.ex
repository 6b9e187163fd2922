defmodule Comporta.Profile do
  @moduledoc """
  Where the time of batches goes: microseconds by step, summed up since the BEAM began.

  | step | whose time, and for what |
  | --- | --- |
  | `:fetch_us` | the source's process: reading batches |
  | `:wait_us` | batches: from their arrival in the BEAM until a worker begins with them |
  | `:decode_us` | workers: decoding records |
  | `:transform_us` | workers: the user's code |
  | `:claim_us` | workers: waiting for answers to claims |
  | `:sum_us` | workers: checking rows and summing them up by group |
  | `:fold_us` | the store's process: folding results in |
  | `:flush_us` | the store's process: making them durable, beside folding |

  Processes measure their own steps and say them in the headers of frames that they send anyway. The sums stand in
  `Comporta.Status`, with the number of batches that workers have begun with (`:begun`).
  """

  alias Comporta.Status

  @steps [
    :fetch_us,
    :wait_us,
    :decode_us,
    :transform_us,
    :claim_us,
    :sum_us,
    :fold_us,
    :flush_us
  ]

  @busy [:decode_us, :transform_us, :sum_us]

  @type t :: %{atom => non_neg_integer}

  @doc "Adds the steps that a frame's header has."
  @spec add(String.t(), map) :: :ok
  def add(pipeline, header) do
    for {step, took} <- took(header, @steps), do: Status.add(pipeline, step, took)
    :ok
  end

  @doc "How long a worker worked on what a result's header says, its waiting for claims left out."
  @spec busy_us(map) :: non_neg_integer
  def busy_us(header), do: header |> took(@busy) |> Keyword.values() |> Enum.sum()

  @doc "A worker begins with a batch that arrived then."
  @spec begun(String.t(), integer) :: :ok
  def begun(pipeline, arrived_at) do
    Status.add(pipeline, :begun, 1)
    Status.add(pipeline, :wait_us, max(now() - arrived_at, 0))
  end

  @doc "Notes that a batch has arrived, and returns when."
  @spec arrived(String.t()) :: integer
  def arrived(pipeline) do
    now = now()
    Status.put_new(pipeline, :first_at, now)
    now
  end

  @doc "All steps of a pipeline, `:begun`, and `:elapsed_us` since its first batch arrived; zeros before."
  @spec all(String.t()) :: t
  def all(pipeline) do
    now = now()
    sums = Map.new([:begun | @steps], &{&1, Status.get(pipeline, &1, 0)})
    Map.put(sums, :elapsed_us, now - Status.get(pipeline, :first_at, now))
  end

  # What a process says of steps is not to be trusted.
  defp took(header, steps),
    do: for({step, took} when is_integer(took) and took >= 0 <- header, step in steps, do: {step, took})

  defp now, do: System.monotonic_time(:microsecond)
end
