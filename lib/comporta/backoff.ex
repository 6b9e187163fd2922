defmodule Comporta.Backoff do
  @moduledoc """
  How long to wait before trying again: not at all the first time, then 100 ms doubling up to 10 s, each shortened by a
  random part of up to a half, so that many who failed at once do not try again at once.
  """

  @first_ms 100
  @most_ms 10_000

  defstruct failures: 0

  @opaque t :: %__MODULE__{failures: non_neg_integer}

  @doc "The backoff of something that has not failed."
  @spec new() :: t
  def new, do: %__MODULE__{}

  @doc "It has succeeded."
  @spec reset(t) :: t
  def reset(_backoff), do: new()

  @doc "It has failed: the milliseconds to wait before the next try."
  @spec next(t) :: {non_neg_integer, t}
  def next(%{failures: 0}), do: {0, %__MODULE__{failures: 1}}

  def next(%{failures: failures}) do
    delay = min(@most_ms, @first_ms * Integer.pow(2, min(failures - 1, 10)))
    {div(delay, 2) + :rand.uniform(div(delay, 2)), %__MODULE__{failures: failures + 1}}
  end
end
