defmodule Comporta.Keepers do
  @moduledoc """
  The supervisor of the keepers, one for each pipeline. As it stops, before all else, each of them drains its own.
  """

  use DynamicSupervisor

  alias Comporta.{Config, Keeper}

  @doc "Starts the supervisor, and keepers: of the pipeline that the release is for, or of several."
  @spec start_link([{Config.t(), Keeper.place()}]) :: Supervisor.on_start()
  def start_link(kept) do
    with {:ok, pid} <- DynamicSupervisor.start_link(__MODULE__, [], name: __MODULE__) do
      Enum.each(kept, &({:ok, _keeper} = start(&1)))
      {:ok, pid}
    end
  end

  @doc "Keeps one more pipeline."
  @spec start({Config.t(), Keeper.place()}) :: DynamicSupervisor.on_start_child()
  def start(kept), do: DynamicSupervisor.start_child(__MODULE__, {Keeper, kept})

  @impl true
  def init([]), do: DynamicSupervisor.init(strategy: :one_for_one)
end
