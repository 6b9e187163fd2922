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

  test "batches of what is not compressed are larger, and none is larger than may be in flight or in a frame" do
    kafka = %{"COMPORTA_SOURCE" => "kafka://127.0.0.1:9092/logs?group=g"}
    assert {:ok, %{batch_bytes: 1_048_576}} = config(kafka)
    assert {:ok, %{batch_bytes: 4_194_304}} = config(%{})
    assert {:ok, %{batch_bytes: 2048}} = config(%{"COMPORTA_BATCH_BYTES" => "2KiB"})
    assert {:ok, %{batch_bytes: 1_048_576}} = config(%{"COMPORTA_MAX_IN_FLIGHT" => "1MiB"})
    assert {:ok, %{batch_bytes: size, max_record: size}} = config(%{"COMPORTA_MAX_FRAME" => "1MiB"})
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

  describe "several pipelines" do
    @describetag :tmp_dir

    defp written(folder, name, text) do
      path = Path.join(folder, name)
      File.write!(path, text)
      path
    end

    test "each has the settings of its file and of the environment", %{tmp_dir: folder} do
      first = written(folder, "a.env", "# the first\nCOMPORTA_FILE=a.py\nCOMPORTA_SOURCE=file:a.log\n\n")
      second = written(folder, "b.env", "COMPORTA_FILE=b.py:two\nCOMPORTA_SOURCE=-\nCOMPORTA_WORKERS=3")
      env = %{"COMPORTA_PIPELINES" => "#{first},#{second}", "COMPORTA_WORKERS" => "2"}
      assert {:ok, [a, b]} = Config.pipelines(env)
      assert {a.source, a.workers, b.name, b.workers} == {"file:a.log", 2, "two", 3}
      assert {:ok, %{file: nil}} = Config.from_env(env)
    end

    test "what is wrong is said with its file and line", %{tmp_dir: folder} do
      for {text, words} <- [
            {"COMPORTA_FILE=a.py\nsource=x", ~s(line 2 is "source=x": it must be COMPORTA_NAME=VALUE)},
            {"COMPORTA_SOURCE=-", "COMPORTA_FILE is missing"},
            {"COMPORTA_FILE=a.py\nCOMPORTA_SOURCE=-\nCOMPORTA_WORKERS=no", "COMPORTA_WORKERS is"}
          ] do
        path = written(folder, "wrong.env", text)
        assert {:error, said} = Config.pipelines(%{"COMPORTA_PIPELINES" => path})
        assert said =~ path
        assert said =~ words
      end

      assert {:error, said} = Config.pipelines(%{"COMPORTA_PIPELINES" => "not/there.env"})
      assert said =~ "not/there.env: no such file"
      assert {:error, said} = Config.pipelines(%{"COMPORTA_PIPELINES" => "x", "COMPORTA_FILE" => "a.py"})
      assert said =~ "both given"
      assert {:ok, []} = Config.pipelines(%{})
    end
  end
end
