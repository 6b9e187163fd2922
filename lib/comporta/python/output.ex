defmodule Comporta.Python.Output do
  @moduledoc """
  What a Python process prints and logs, on its way to the log: a line an event, under the process's name.

  At most 1,000 lines a second get there, and how much is left out is said: a forgotten `print` in a transform prints as
  many lines as there are records, and the log is not to be what a pipeline waits for.
  """

  require Logger

  @most_lines 1_000
  # A line that is longer is logged in pieces.
  @longest_line 8_192

  @enforce_keys [:name]
  defstruct [:name, second: 0, lines: 0, left_out: 0, rest: ""]

  @type t :: %__MODULE__{
          name: String.t(),
          second: integer,
          lines: non_neg_integer,
          left_out: non_neg_integer,
          rest: binary
        }

  @doc "Takes what was printed, as it came: bytes that need not be text, nor whole lines."
  @spec print(t, binary) :: t
  def print(output, data) do
    case turn(output) do
      # However fast it prints, this is faster: what is left out is not even looked at.
      %{lines: @most_lines} = output ->
        %{output | left_out: output.left_out + byte_size(data), rest: ""}

      output ->
        {rest, lines} = List.pop_at(:binary.split(output.rest <> data, ["\n", "\r"], [:global]), -1)
        output = Enum.reduce(lines, %{output | rest: ""}, &line/2)
        if byte_size(rest) < @longest_line, do: %{output | rest: rest}, else: line(rest, output)
    end
  end

  @doc "Logs a text."
  @spec log(t, Logger.level(), binary) :: t
  def log(output, level, text), do: event(turn(output), level, text)

  @doc "Logs what there is of a last line."
  @spec finish(t) :: :ok
  def finish(output) do
    _ = say_left_out(line(output.rest, output))
    :ok
  end

  defp line("", output), do: output

  defp line(<<piece::binary-size(@longest_line), rest::binary>>, output) when rest != "" do
    line(rest, event(output, :info, piece))
  end

  defp line(line, output), do: event(output, :info, line)

  defp event(%{lines: @most_lines} = output, _level, text) do
    %{output | left_out: output.left_out + byte_size(text)}
  end

  defp event(output, level, text) do
    Logger.log(level, "#{output.name}: #{text}")
    %{output | lines: output.lines + 1}
  end

  # A second has its own thousand lines.
  defp turn(output) do
    case System.monotonic_time(:second) do
      second when second == output.second -> output
      second -> %{say_left_out(output) | second: second, lines: 0}
    end
  end

  defp say_left_out(%{left_out: 0} = output), do: output

  defp say_left_out(output) do
    Logger.warning("#{output.name}: too much to log: #{output.left_out} bytes were left out")
    %{output | left_out: 0}
  end
end
