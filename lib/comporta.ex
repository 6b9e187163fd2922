defmodule Comporta do
  @moduledoc """
  Pipelines from Elixir: started, found and stopped in a BEAM that does other things, too.

      {:ok, keeper} =
        Comporta.start_pipeline(%{
          "COMPORTA_FILE" => "priv/access_log.py",
          "COMPORTA_PYTHON" => "/opt/app/.venv/bin/python",
          "COMPORTA_SOURCE" => "kafka://kafka-1:9092/access",
          "COMPORTA_STORE" => "cassandra://cassandra-1/comporta"
        })

      Comporta.ledger("access-log")
      Comporta.stop_pipeline(keeper)

  Settings are those of `Comporta.Config`. A pipeline that fails is started again with backoff; one that cannot go on
  stops, and the log says why. Neither takes another pipeline, or the BEAM, with it.
  """

  alias Comporta.{Config, Keeper, Keepers, Ledger, Status}

  @doc """
  Starts a pipeline, and keeps it running; its keeper's process ends when the pipeline is done, or cannot go on.

  An error says which setting is wrong, and what would be right. Whatever is wrong with the file, the source or the
  store is in the log, as it is known later.
  """
  @spec start_pipeline(%{optional(String.t()) => String.t()}) :: {:ok, pid} | {:error, String.t()}
  def start_pipeline(settings) do
    case Config.from_env(settings) do
      {:ok, %Config{file: nil}} ->
        {:error, "COMPORTA_FILE is missing: it must be the Python file of a pipeline"}

      {:ok, config} ->
        Keepers.start({config, :among_others})

      {:error, words} ->
        {:error, words}
    end
  end

  @doc "Drains a pipeline and stops it, by its keeper's process."
  @spec stop_pipeline(pid) :: :ok
  defdelegate stop_pipeline(keeper), to: Keeper, as: :stop

  @doc "What became of a pipeline's records, as far as it is durable."
  @spec ledger(String.t()) :: Ledger.t()
  def ledger(pipeline), do: Status.get(pipeline, :durable, Ledger.new())
end
