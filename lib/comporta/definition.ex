defmodule Comporta.Definition do
  @moduledoc """
  What a `FILE.py` defines, as the BEAM needs to know it.

  The file is read once, here; a short-lived Python process loads those very bytes and says what they define. All
  processes of a pipeline are given the same bytes and must come to the same hash.
  """

  alias Comporta.{Config, Python}
  alias Comporta.Python.Death

  # Imports of a machine-learning library from a cold disk take their time.
  @timeout 120_000

  @enforce_keys [:name, :hash, :ordered, :dedup, :python, :code, :json]
  defstruct @enforce_keys

  @type t :: %__MODULE__{
          name: String.t(),
          hash: binary,
          ordered: boolean,
          dedup: boolean,
          python: String.t(),
          code: binary,
          json: binary
        }

  @doc """
  Reads and describes the configured file. An error is one line for the user.

  The caller, which must trap exits, exits where another process that it is linked to does meanwhile.
  """
  @spec load(Config.t()) :: {:ok, t} | {:error, String.t()}
  def load(config) do
    case File.read(config.file) do
      {:ok, code} -> describe(config, code)
      {:error, reason} -> {:error, "#{config.file}: #{:file.format_error(reason)}"}
    end
  end

  defp describe(config, code) do
    start = {%{file: config.file, name: config.name}, code}

    {:ok, python} =
      Python.start_link(
        name: "describe",
        program: "describe",
        python: config.python,
        max_frame: config.max_frame,
        start_timeout: @timeout,
        start: start
      )

    receive do
      {:python, ^python, {:ready, header, json}} ->
        stop(python)
        fields = Map.take(header, [:name, :hash, :ordered, :dedup, :python])
        {:ok, struct!(__MODULE__, Map.merge(fields, %{code: code, json: :binary.copy(json)}))}

      {:EXIT, ^python, {:shutdown, %Death{} = death}} ->
        {:error, Death.message(death)}

      # Whoever loads it is told to stop, however long the file takes.
      {:EXIT, from, reason} ->
        if from != python, do: stop(python)
        exit(reason)
    end
  end

  defp stop(python) do
    Python.kill(python, :recycled, "")

    receive do
      {:EXIT, ^python, _reason} -> :ok
    end
  end
end
