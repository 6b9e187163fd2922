defmodule Comporta.Application do
  @moduledoc """
  What runs in a release: the reaper first, so that it stops last; then the pipelines and their keeper.

  Stopping goes the other way round: the pipelines drain, the keeper reports how the run ended, and whatever Python
  process is still there by then is the reaper's.
  """

  use Application

  alias Comporta.{Config, Keeper, Log, Pipelines, Progress, Python, Status}

  @impl true
  def start(_type, _args) do
    case Config.from_env(Application.get_env(:comporta, :env, %{})) do
      {:ok, config} ->
        Log.setup(config.log_format)
        Status.new()

        Supervisor.start_link(children(config),
          strategy: :one_for_one,
          max_restarts: 0,
          name: Comporta.Supervisor
        )

      {:error, words} ->
        # An error returned from here would become a crash dump instead of a line.
        IO.puts(:stderr, "comporta: " <> words)
        System.halt(1)
    end
  end

  defp children(config) do
    [
      Python.Directory,
      Python.Reaper,
      {Registry, keys: :unique, name: Comporta.Registry},
      {Progress, config}
    ] ++ keeper(config) ++ [Pipelines]
  end

  # Without a file there is nothing to keep: pipelines are started by whoever runs the release.
  defp keeper(%Config{file: nil}), do: []
  defp keeper(config), do: [{Keeper, config}]
end
