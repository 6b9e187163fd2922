defmodule Comporta.Pipeline.Terminator do
  @moduledoc """
  Drains a pipeline when it is stopped: pull no more, finish what is in flight, flush, commit.

  It is the last child of the tree, so the first to be stopped, while every stage still runs. It is bounded in time:
  past `drain_timeout` the BEAM is halted without flushing its output, and nothing is lost but time, for what was not
  flushed is done again from the checkpoint. A pipeline of which a stage has failed is not drained.
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
    if Enum.all?(parts(run), &GenServer.whereis(Run.name(run, &1))), do: drain(run)
  end

  defp parts(run) do
    claims = if run.definition.dedup, do: [:claims], else: []
    [:source, :sequencer, :store] ++ claims ++ for(n <- 1..run.config.workers, do: {:worker, n})
  end

  defp drain(%{name: name, config: %{drain_timeout: timeout}} = run) do
    {:ok, overtime} = :timer.apply_after(timeout, __MODULE__, :halt, [name, timeout])
    Source.drain(Run.name(run, :source), :infinity)
    Store.flush_and_wait(Run.name(run, :store), :infinity)
    _ = :timer.cancel(overtime)
    Source.close(Run.name(run, :source), @close_ms)
  catch
    :exit, reason ->
      Logger.error("#{name} was not drained, a part of it failed: #{Exception.format_exit(reason)}")
  end

  @doc "Stops the BEAM at once: draining `name` took longer than `timeout` milliseconds."
  @spec halt(String.t(), pos_integer) :: no_return
  def halt(name, timeout) do
    words = "#{name} was not drained within #{timeout} ms: what was not flushed will be done again"
    Progress.verdict({1, words}, div(@grace, 2))
  after
    :erlang.halt(1, flush: false)
  end
end
