defmodule Comporta.Python.Output do
  @moduledoc """
  What a Python process prints and logs, on its way to the log under the process's name.

  At most 1,000 lines a second get there: a forgotten `print` in a transform prints as many lines as there are
  records, and the log is not to be what a pipeline waits for. How many were left out is said.
  """

  require Logger

  @most 1_000

  @enforce_keys [:name]
  defstruct [:name, second: 0, lines: 0]

  @type t :: %__MODULE__{name: String.t(), second: integer, lines: non_neg_integer}

  @doc "Logs a line of text, or of bytes that need not be text."
  @spec log(t, Logger.level(), binary) :: t
  def log(output, level, line) do
    output = turn(output, System.monotonic_time(:second))
    if output.lines < @most, do: Logger.log(level, "#{output.name}: #{line}")
    %{output | lines: output.lines + 1}
  end

  @doc "Says what was left out, if anything, of the lines of the last second."
  @spec finish(t) :: t
  def finish(%{lines: lines} = output) do
    if lines > @most,
      do: Logger.warning("#{output.name}: #{lines - @most} more lines within a second are not logged")

    %{output | lines: 0}
  end

  defp turn(%{second: second} = output, second), do: output
  defp turn(output, second), do: %{finish(output) | second: second}
end
