defmodule Comporta.Application do
  @moduledoc """
  What runs in a release: the reaper first, so that it stops last; then the pipelines and their keepers.

  Stopping goes the other way round: each keeper drains its pipeline and reports how the run ended, and whatever Python
  process is still there by then is the reaper's.
  """

  use Application

  alias Comporta.{Config, Keepers, Log, Pipelines, Progress, Python, Status}

  @impl true
  def start(_type, _args) do
    env = Application.get_env(:comporta, :env, %{})

    with {:ok, config} <- Config.from_env(env),
         {:ok, pipelines} <- Config.pipelines(env) do
      Log.setup(config.log_format)
      Status.new()

      Supervisor.start_link(children(config, pipelines),
        strategy: :one_for_one,
        max_restarts: 0,
        name: Comporta.Supervisor
      )
    else
      {:error, words} ->
        # An error returned from here would become a crash dump instead of a line.
        IO.puts(:stderr, "comporta: " <> words)
        System.halt(1)
    end
  end

  defp children(config, pipelines) do
    [
      Python.Directory,
      Python.Reaper,
      {Registry, keys: :unique, name: Comporta.Registry},
      {Progress, config},
      Pipelines,
      {Keepers, kept(config, pipelines)}
    ]
  end

  # With nothing to keep, pipelines are started by whoever runs the release (`Comporta.start_pipeline/1`).
  defp kept(%Config{file: nil}, pipelines), do: Enum.map(pipelines, &{&1, :among_others})
  defp kept(config, []), do: [{config, :whole}]
end
