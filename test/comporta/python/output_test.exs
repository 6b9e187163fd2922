defmodule Comporta.Python.OutputTest do
  use Comporta.PythonCase

  alias Comporta.Python.Output

  @moduletag :logs

  test "lines are put together from what comes, and parted at ends of any kind" do
    printed(["on", "e\ntwo\r\nth", "ree\n\nprogress 1\rprogress 2\r", "last"])
    assert lines() == ["one", "two", "three", "progress 1", "progress 2", "last"]
  end

  test "a long line comes in pieces, and does not stay in memory" do
    output = printed([String.duplicate("a", 20_000), String.duplicate("b", 10_000)])
    assert lines() |> Enum.join() == String.duplicate("a", 20_000) <> String.duplicate("b", 10_000)
    assert byte_size(output.rest) <= 8_192
  end

  test "what is too much is left out, and how much is said" do
    output = printed(List.duplicate(String.duplicate("line\n", 100), 100))
    assert output.lines <= 1_000
    {said, logged} = Enum.split_with(lines(), &(&1 =~ "left out"))
    assert length(logged) < 10_000

    left_out =
      for line <- said,
          [_, bytes] = Regex.run(~r/^too much to log: (\d+) bytes/, line),
          do: String.to_integer(bytes)

    assert Enum.sum(left_out) in (4 * (10_000 - length(logged)))..(5 * (10_000 - length(logged)))
  end

  defp printed(chunks) do
    output = Enum.reduce(chunks, %Output{name: "child"}, &Output.print(&2, &1))
    Output.finish(output)
    output
  end

  defp lines do
    receive do
      {:logged, _level, "child: " <> line} -> [line | lines()]
    after
      0 -> []
    end
  end
end
