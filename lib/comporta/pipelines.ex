defmodule Comporta.Pipelines do
  @moduledoc """
  The supervisor of all running pipelines. They are temporary children: one that fails takes no other down, and its
  keeper decides whether it starts again.
  """

  use DynamicSupervisor

  alias Comporta.Pipeline
  alias Comporta.Pipeline.Run

  @doc "Starts the supervisor."
  @spec start_link(term) :: Supervisor.on_start()
  def start_link(_), do: DynamicSupervisor.start_link(__MODULE__, [], name: __MODULE__)

  @doc "Starts a pipeline's tree."
  @spec start(Run.t()) :: DynamicSupervisor.on_start_child()
  def start(run) do
    spec = %{
      id: run.name,
      start: {Pipeline, :start_link, [run]},
      restart: :temporary,
      type: :supervisor,
      shutdown: :infinity
    }

    DynamicSupervisor.start_child(__MODULE__, spec)
  end

  @doc "Stops a pipeline's tree, which drains it; nothing where it does not run."
  @spec stop(Run.t()) :: :ok
  def stop(run) do
    # Not by way of this supervisor, in which one that drains would hold up all others.
    Supervisor.stop(Run.name(run, :tree), :shutdown)
  catch
    :exit, _not_running -> :ok
  end

  @impl true
  def init([]), do: DynamicSupervisor.init(strategy: :one_for_one)
end
