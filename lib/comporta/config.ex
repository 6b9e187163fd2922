defmodule Comporta.Config do
  @moduledoc """
  The settings of a run, read from the environment once and validated once; the rest of the code trusts them.

  | variable | meaning | default |
  | --- | --- | --- |
  | `COMPORTA_FILE` | the pipeline's `FILE.py`, or `FILE.py:name`; without it the release starts no pipeline | none |
  | `COMPORTA_PIPELINES` | instead, several pipelines: files, separated by commas, each of which has their settings as lines `NAME=VALUE`, beside those of the environment | none |
  | `COMPORTA_PYTHON` | the interpreter that has `comporta` installed | `python3` |
  | `COMPORTA_SOURCE` | `file:GLOB`, `-` or `kafka://HOST:PORT/TOPIC?group=G` | required |
  | `COMPORTA_STORE` | `sqlite:PATH` or `cassandra://HOST/KEYSPACE` | `sqlite:.comporta/NAME.db` |
  | `COMPORTA_CLAIMS` | where event ids are claimed: `redis://HOST:PORT`, or SQLite | the SQLite store |
  | `COMPORTA_DEAD` | where dead letters go: `kafka://HOST:PORT/TOPIC` | `TOPIC.dead` of a Kafka source, else the SQLite store |
  | `COMPORTA_WORKERS` | how many Python workers | the number of cores |
  | `COMPORTA_START` | `earliest`, `latest` or a time: where partitions start that are there at the first run | `earliest` |
  | `COMPORTA_UNTIL_END` | `true`: stop at the end that the source has now | `false`; `true` for stdin |
  | `COMPORTA_FLUSH_EVERY` | how often results are made durable | `1s` |
  | `COMPORTA_BATCH_TIMEOUT` | how long a worker may take for a batch | `60s` |
  | `COMPORTA_WORKER_MEMORY` | resident memory at which a worker is replaced | `1GiB` |
  | `COMPORTA_WORKER_BATCHES` | replace a worker after that many batches | never |
  | `COMPORTA_WORKER_AGE` | replace a worker after that time | never |
  | `COMPORTA_MAX_IN_FLIGHT` | bytes that may be read and not yet folded | `256MiB` |
  | `COMPORTA_MAX_FRAME` | the largest frame, and so nearly the largest record | `64MiB` |
  | `COMPORTA_BATCH_BYTES` | the size that batches are aimed at, as the source has them | `1MiB`; `4MiB` of files and stdin, which are not compressed |
  | `COMPORTA_DRAIN_TIMEOUT` | how long stopping may take | `30s` |
  | `COMPORTA_LOG_FORMAT` | `text` or `json` | `text` |
  | `COMPORTA_PROGRESS_FD` | a descriptor to report progress on | none |

  The Python processes read further ones, for users, passwords, TLS and the membership of a group (`docs/kafka.md`).
  """

  # What of a frame is the header's, and not the record's.
  @header_room 128 * 1024
  @durations %{"ms" => 1, "s" => 1_000, "m" => 60_000, "h" => 3_600_000, "d" => 86_400_000}
  @sizes %{"B" => 1, "KiB" => 1024, "MiB" => 1024 ** 2, "GiB" => 1024 ** 3}

  defstruct [
    :file,
    :name,
    :python,
    :source,
    :store,
    :claims,
    :dead,
    :workers,
    :start,
    :until_end,
    :flush_every,
    :batch_timeout,
    :worker_memory,
    :worker_batches,
    :worker_age,
    :max_in_flight,
    :max_frame,
    :max_record,
    :batch_bytes,
    :drain_timeout,
    :log_format,
    :progress_fd
  ]

  @type t :: %__MODULE__{
          file: Path.t() | nil,
          name: String.t() | nil,
          python: Path.t(),
          source: String.t() | nil,
          store: String.t() | nil,
          claims: String.t() | nil,
          dead: String.t() | nil,
          workers: pos_integer,
          start: String.t(),
          until_end: boolean,
          flush_every: pos_integer,
          batch_timeout: pos_integer,
          worker_memory: pos_integer,
          worker_batches: pos_integer | nil,
          worker_age: pos_integer | nil,
          max_in_flight: pos_integer,
          max_frame: pos_integer,
          max_record: pos_integer,
          batch_bytes: pos_integer,
          drain_timeout: pos_integer,
          log_format: :text | :json,
          progress_fd: non_neg_integer | nil
        }

  @doc """
  The settings that the environment gives, a map of variable names to text. Durations are milliseconds, sizes bytes.

  An error says which variable is wrong, and what would be right.
  """
  @spec from_env(%{optional(String.t()) => String.t()}) :: {:ok, t} | {:error, String.t()}
  def from_env(env) do
    {file, name} = file(text(env, "FILE"))
    max_frame = size(env, "MAX_FRAME", "64MiB")

    config = %__MODULE__{
      file: file,
      name: name,
      python: python(text(env, "PYTHON") || "python3"),
      source: text(env, "SOURCE"),
      store: text(env, "STORE"),
      claims: text(env, "CLAIMS"),
      dead: text(env, "DEAD"),
      workers: count(env, "WORKERS") || System.schedulers_online(),
      start: text(env, "START") || "earliest",
      until_end: one_of(env, "UNTIL_END", %{"true" => true, "false" => false}, "false"),
      flush_every: duration(env, "FLUSH_EVERY", "1s"),
      batch_timeout: duration(env, "BATCH_TIMEOUT", "60s"),
      worker_memory: size(env, "WORKER_MEMORY", "1GiB"),
      worker_batches: count(env, "WORKER_BATCHES"),
      worker_age: duration(env, "WORKER_AGE", nil),
      max_in_flight: size(env, "MAX_IN_FLIGHT", "256MiB"),
      max_frame: max_frame,
      max_record: max(max_frame - @header_room, 1),
      batch_bytes: size(env, "BATCH_BYTES", batch_bytes(text(env, "SOURCE"))),
      drain_timeout: duration(env, "DRAIN_TIMEOUT", "30s"),
      log_format: one_of(env, "LOG_FORMAT", %{"text" => :text, "json" => :json}, "text"),
      progress_fd: descriptor(env, "PROGRESS_FD")
    }

    {:ok, config |> complete() |> bounded()}
  catch
    {:invalid, variable, value, right} ->
      {:error, "COMPORTA_#{variable} is #{inspect(value)}: it must be #{right}"}
  end

  @doc """
  The settings of each pipeline that `COMPORTA_PIPELINES` names a file for: what the environment gives, and the file.

  An error names the file and the line.
  """
  @spec pipelines(%{optional(String.t()) => String.t()}) :: {:ok, [t]} | {:error, String.t()}
  def pipelines(env) do
    {files, common} = Map.pop(env, "COMPORTA_PIPELINES", "")

    case {String.split(files, ",", trim: true), common["COMPORTA_FILE"]} do
      {[], _file} -> {:ok, []}
      {files, file} when file in [nil, ""] -> {:ok, Enum.map(files, &pipeline(&1, common))}
      _ -> {:error, "COMPORTA_PIPELINES and COMPORTA_FILE are both given: give one of them"}
    end
  catch
    {:unusable, path, words} -> {:error, "#{path}: #{words}"}
  end

  defp pipeline(path, common) do
    case from_env(Map.merge(common, settings(path))) do
      {:ok, %{file: nil}} -> throw({:unusable, path, "COMPORTA_FILE is missing"})
      {:ok, config} -> config
      {:error, words} -> throw({:unusable, path, words})
    end
  end

  defp settings(path) do
    case File.read(path) do
      {:ok, text} ->
        text |> String.split("\n") |> Enum.with_index(1) |> Enum.flat_map(&setting(&1, path)) |> Map.new()

      {:error, reason} ->
        throw({:unusable, path, :file.format_error(reason)})
    end
  end

  defp setting({line, number}, path) do
    case String.trim(line) do
      "" ->
        []

      "#" <> _comment ->
        []

      text ->
        case Regex.run(~r/\A(COMPORTA_[A-Z_]+)=(.*)\z/s, text) do
          [_, name, value] ->
            [{name, value}]

          nil ->
            throw({:unusable, path, "line #{number} is #{inspect(text)}: it must be COMPORTA_NAME=VALUE"})
        end
    end
  end

  defp complete(%{file: file, source: nil}) when file != nil,
    do: throw({:invalid, "SOURCE", "", "given, such as file:logs/*.log, or - for stdin"})

  # What stdin holds ends for good where it ends.
  defp complete(%{source: "-"} = config), do: %{config | until_end: true}
  defp complete(config), do: config

  defp batch_bytes("kafka:" <> _topic), do: "1MiB"
  defp batch_bytes(_plain), do: "4MiB"

  defp bounded(config),
    do: %{config | batch_bytes: Enum.min([config.batch_bytes, config.max_in_flight, config.max_record])}

  defp text(env, variable) do
    case env["COMPORTA_" <> variable] do
      "" -> nil
      value -> value
    end
  end

  defp file(nil), do: {nil, nil}

  defp file(text) do
    case Regex.run(~r/\A(.+\.py):([^\/:]+)\z/s, text) do
      [_, file, name] -> {Path.expand(file), name}
      nil -> {Path.expand(text), nil}
    end
  end

  defp python(command) do
    # A path is the user's, from where the release was started; a name is looked for like a shell does.
    found = if String.contains?(command, "/"), do: Path.expand(command), else: System.find_executable(command)

    if found && File.regular?(found),
      do: found,
      else: throw({:invalid, "PYTHON", command, "a Python interpreter"})
  end

  defp count(env, variable) do
    with value when value != nil <- text(env, variable) do
      case Integer.parse(value) do
        {count, ""} when count > 0 -> count
        _ -> throw({:invalid, variable, value, "a whole number above 0"})
      end
    end
  end

  defp descriptor(env, variable) do
    with value when value != nil <- text(env, variable) do
      case Integer.parse(value) do
        {number, ""} when number > 2 -> number
        _ -> throw({:invalid, variable, value, "the number of an open descriptor"})
      end
    end
  end

  defp one_of(env, variable, values, default) do
    value = text(env, variable) || default
    right = values |> Map.keys() |> Enum.sort(:desc) |> Enum.join(" or ")
    Map.get_lazy(values, value, fn -> throw({:invalid, variable, value, right}) end)
  end

  defp duration(env, variable, default),
    do: quantity(env, variable, default, @durations, "a duration such as 250ms, 1s, 5m or 1h")

  defp size(env, variable, default),
    do: quantity(env, variable, default, @sizes, "a size such as 512KiB, 256MiB or 1GiB")

  defp quantity(env, variable, default, units, right) do
    with value when value != nil <- text(env, variable) || default do
      with {number, unit} <- Float.parse(value),
           {:ok, factor} <- Map.fetch(units, unit),
           amount when amount > 0 <- round(number * factor) do
        amount
      else
        _ -> throw({:invalid, variable, value, right})
      end
    end
  end
end
