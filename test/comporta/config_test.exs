defmodule Comporta.ConfigTest do
  use ExUnit.Case, async: true

  alias Comporta.Config

  @least %{"COMPORTA_FILE" => "a.py", "COMPORTA_SOURCE" => "file:a.log"}

  defp config(env), do: Config.from_env(Map.merge(@least, env))

  test "defaults" do
    assert {:ok, config} = config(%{})
    assert config.file == Path.expand("a.py")

    assert {config.start, config.until_end, config.flush_every, config.log_format} ==
             {"earliest", false, 1_000, :text}

    assert config.worker_memory == 1024 ** 3
    assert config.max_record < config.max_frame
  end

  test "durations and sizes have units" do
    assert {:ok, %{flush_every: 250, batch_timeout: 90_000, max_in_flight: 1_572_864}} =
             config(%{
               "COMPORTA_FLUSH_EVERY" => "250ms",
               "COMPORTA_BATCH_TIMEOUT" => "1.5m",
               "COMPORTA_MAX_IN_FLIGHT" => "1.5MiB"
             })
  end

  test "stdin is read to its end" do
    assert {:ok, %{until_end: true}} = config(%{"COMPORTA_SOURCE" => "-"})
  end

  test "a name after the file chooses the pipeline" do
    assert {:ok, %{file: file, name: "two"}} = config(%{"COMPORTA_FILE" => "/x/a.py:two"})
    assert file == "/x/a.py"
  end

  test "what is wrong is said with the variable's name and what would be right" do
    for {variable, value, right} <- [
          {"FLUSH_EVERY", "soon", "duration"},
          {"FLUSH_EVERY", "0s", "duration"},
          {"MAX_IN_FLIGHT", "12 apples", "size"},
          {"WORKERS", "-1", "whole number"},
          {"LOG_FORMAT", "xml", "text or json"},
          {"UNTIL_END", "yes", "true or false"},
          {"PYTHON", "no-such-python", "interpreter"}
        ] do
      assert {:error, words} = config(%{("COMPORTA_" <> variable) => value})
      assert words =~ "COMPORTA_" <> variable
      assert words =~ right
    end
  end

  test "a pipeline needs a source, and without a file there is none" do
    assert {:error, words} = Config.from_env(%{"COMPORTA_FILE" => "a.py"})
    assert words =~ "COMPORTA_SOURCE"
    assert {:ok, %{file: nil}} = Config.from_env(%{})
  end
end
