defmodule Comporta.Pipeline.Probation do
  @moduledoc """
  Tells a typo from bad data: while no record of a generation has ever succeeded, #{1_000} failures in a row or 10
  deaths of workers stop the pipeline. Once a record has succeeded, failures are dead letters and deaths are faults.

  The counts are shared by the workers' stages without a process between them.
  """

  @failures 1_000
  @deaths 10

  @enforce_keys [:counts]
  defstruct @enforce_keys

  @opaque t :: %__MODULE__{counts: :atomics.atomics_ref()}

  @doc "A pipeline on probation."
  @spec new() :: t
  def new, do: %__MODULE__{counts: :atomics.new(3, signed: false)}

  @doc "A record has succeeded, now or in an earlier run: probation is over."
  @spec pass(t) :: :ok
  def pass(%{counts: counts}), do: :atomics.put(counts, 1, 1)

  @doc "Whether no record has succeeded yet."
  @spec on?(t) :: boolean
  def on?(%{counts: counts}), do: :atomics.get(counts, 1) == 0

  @doc "Notes failed records. `:hopeless` if that was too many in a row."
  @spec failures(t, non_neg_integer) :: :ok | :hopeless
  def failures(probation, count), do: raise_count(probation, 2, count, @failures)

  @doc "Notes a worker's death. `:hopeless` if that was one too many."
  @spec death(t) :: :ok | :hopeless
  def death(probation), do: raise_count(probation, 3, 1, @deaths)

  defp raise_count(%{counts: counts} = probation, index, by, limit) do
    if on?(probation) and :atomics.add_get(counts, index, by) >= limit, do: :hopeless, else: :ok
  end
end
