defmodule Comporta.Pipeline.Terminator do
  @moduledoc """
  Drains a pipeline when it is stopped: pull no more, finish what is in flight, flush, commit.

  It is the last child of the tree, so the first to be stopped, while every stage still runs. It is bounded in time:
  past `drain_timeout` the BEAM is halted without flushing its output, or, where there are other pipelines, only this one
  ends. Nothing is lost but time, for what was not flushed is done again from the checkpoint. A pipeline of which a stage
  has failed, or fails as it is drained, is not drained.
  """

  use GenServer

  require Logger

  alias Comporta.Pipeline.{Run, Source, Store}
  alias Comporta.Progress

  # The halt must come before the supervisor's own patience ends.
  @grace 2_000

  # For the source to pass on what is durable, once nothing else is left to do.
  @close_ms 2_000

  @doc "The terminator of a pipeline, with the patience that draining needs."
  @spec child_spec(Run.t()) :: Supervisor.child_spec()
  def child_spec(run) do
    shutdown = run.config.drain_timeout + @grace + @close_ms
    %{id: __MODULE__, start: {__MODULE__, :start_link, [run]}, shutdown: shutdown}
  end

  @doc "Starts the terminator of a pipeline."
  @spec start_link(Run.t()) :: GenServer.on_start()
  def start_link(run), do: GenServer.start_link(__MODULE__, run)

  @impl true
  def init(run) do
    Process.flag(:trap_exit, true)
    {:ok, run}
  end

  @impl true
  def terminate(_reason, run) do
    parts = Enum.map(parts(run), &GenServer.whereis(Run.name(run, &1)))
    if Enum.all?(parts), do: drain(run, parts)
  end

  defp parts(run) do
    claims = if run.definition.dedup, do: [:claims], else: []
    [:source, :sequencer, :store] ++ claims ++ for(n <- 1..run.config.workers, do: {:worker, n})
  end

  # By another process, which waits for as long as it takes: this one looks after the parts and the time.
  defp drain(run, parts) do
    Enum.each(parts, &Process.monitor/1)
    {drainer, drained} = spawn_monitor(__MODULE__, :finish, [run])

    receive do
      {:DOWN, ^drained, :process, _pid, :normal} ->
        Source.close(Run.name(run, :source), @close_ms)

      {:DOWN, _monitor, :process, _pid, reason} ->
        Process.exit(drainer, :kill)
        Logger.error("#{run.name} was not drained, a part of it failed: #{Exception.format_exit(reason)}")
    after
      run.config.drain_timeout -> overtime(run)
    end
  end

  @doc "Has everything that is in flight finished and made durable, however long it takes."
  @spec finish(Run.t()) :: :ok
  def finish(run) do
    Source.drain(Run.name(run, :source), :infinity)
    Store.flush_and_wait(Run.name(run, :store), :infinity)
  end

  # What holds one pipeline up is no reason to end others.
  defp overtime(%{whole?: false} = run), do: Logger.error(too_long(run))

  defp overtime(run) do
    Progress.verdict({1, too_long(run)}, div(@grace, 2))
  after
    :erlang.halt(1, flush: false)
  end

  defp too_long(%{name: name, config: %{drain_timeout: timeout}}),
    do: "#{name} was not drained within #{timeout} ms: what was not flushed will be done again"
end
