defmodule Comporta.Pipeline.Store do
  @moduledoc """
  The last stage: results, in order, to the Python process that folds them in and makes them durable.

  It asks the sequencer for as many results as may be folding at once. Every `flush_every` what was folded is flushed,
  and the checkpoints that come of it are told to the source, which may then acknowledge. When the store's process
  dies, so does what it had in memory: the stage says `:lost`, and the source has every partition opened again, which
  takes it back to its checkpoint under a new assignment.

  Whoever subscribes gets `{:store, event}`: `{:ready, generation}`, `:lost`, `{:known, payload}`,
  `{:opened, partition}`, `{:opened_all, assignment}`, `{:folded, result}`, `{:checkpoint, partition, upto}`,
  `{:elsewhere, partition, upto}`, `{:lost, partition}`.
  """

  use GenServer

  require Logger

  alias Comporta.{Backoff, Ledger, Notes, Profile, Python, Status}
  alias Comporta.Pipeline.{Probation, Result, Run}
  alias Comporta.Python.Death
  alias Comporta.Stage.Consumer

  # How often a store without results looks whether the pipeline was reset: one with results sees it as it flushes.
  @watch_ms 5_000

  # Enough to keep the process busy while answers are on their way.
  @folding 8

  defstruct [
    :run,
    :tag,
    python: nil,
    generation: nil,
    consumer: Consumer.new(),
    folding: %{},
    next_id: 1,
    unflushed?: false,
    flush: nil,
    flush_again?: false,
    waiting: [],
    ledgers: %{},
    durable: %{},
    subscribers: [],
    backoff: Backoff.new()
  ]

  @doc "Starts the store of a pipeline."
  @spec start_link(Run.t()) :: GenServer.on_start()
  def start_link(run), do: GenServer.start_link(__MODULE__, run, name: Run.name(run, :store))

  @doc "Has the caller told of the store's events, as the moduledoc says; of a store that is ready already at once."
  @spec subscribe(GenServer.server()) :: :ok
  def subscribe(store), do: GenServer.cast(store, {:subscribe, self()})

  @doc "Asks what the store knows of partitions; the answer is the event `{:known, payload}`."
  @spec known(GenServer.server()) :: :ok
  def known(store), do: GenServer.cast(store, :known)

  @doc "Opens the partitions that the source's `payload` lists, under `assignment`; an event `:opened` for each."
  @spec open(GenServer.server(), pos_integer, binary) :: :ok
  def open(store, assignment, payload), do: GenServer.cast(store, {:open, assignment, payload})

  @doc "Gives up a partition: what is folded of it and not flushed is forgotten."
  @spec close(GenServer.server(), binary) :: :ok
  def close(store, partition), do: GenServer.cast(store, {:close, partition})

  @doc "Asks how far every partition is durable, whoever reads it; an event `:elsewhere` for each."
  @spec elsewhere(GenServer.server()) :: :ok
  def elsewhere(store), do: GenServer.cast(store, :elsewhere)

  @doc "Flushes what is folded: now, or right after the flush that is under way."
  @spec flush(GenServer.server()) :: :ok
  def flush(store), do: GenServer.cast(store, :flush)

  @doc "Flushes, and returns when everything folded before is durable."
  @spec flush_and_wait(GenServer.server(), timeout) :: :ok
  def flush_and_wait(store, timeout), do: GenServer.call(store, :flush_and_wait, timeout)

  @impl true
  def init(run) do
    Process.flag(:trap_exit, true)
    {:ok, _} = :timer.send_interval(run.config.flush_every, :flush)
    {:ok, _} = :timer.send_interval(@watch_ms, :watch)
    {:ok, start_python(%__MODULE__{run: run}), {:continue, :subscribe}}
  end

  @impl true
  def handle_continue(:subscribe, state) do
    sequencer = GenServer.whereis(Run.name(state.run, :sequencer))
    {tag, consumer} = Consumer.subscribe(state.consumer, sequencer, @folding)
    {:noreply, %{state | consumer: consumer, tag: tag}}
  end

  @impl true
  def handle_cast({:subscribe, pid}, state) do
    if state.generation, do: send(pid, {:store, {:ready, state.generation}})
    {:noreply, %{state | subscribers: [pid | state.subscribers]}}
  end

  def handle_cast(:known, state), do: {:noreply, request(state, %{kind: :known}, "")}

  def handle_cast({:open, assignment, payload}, state) do
    {:noreply, request(state, %{kind: :open, assignment: assignment}, payload)}
  end

  def handle_cast({:close, partition}, state),
    do: {:noreply, request(state, %{kind: :close, partition: partition}, "")}

  def handle_cast(:elsewhere, state), do: {:noreply, request(state, %{kind: :elsewhere}, "")}

  def handle_cast(:flush, %{flush: nil} = state), do: {:noreply, start_flush(state)}
  def handle_cast(:flush, state), do: {:noreply, %{state | flush_again?: true}}

  @impl true
  def handle_call(:flush_and_wait, _from, %{unflushed?: false, flush: nil} = state), do: {:reply, :ok, state}

  def handle_call(:flush_and_wait, from, state),
    do: {:noreply, start_flush(%{state | waiting: [from | state.waiting]})}

  @impl true
  def handle_info(:flush, state), do: {:noreply, start_flush(state)}
  def handle_info(:watch, %{generation: nil} = state), do: {:noreply, state}
  def handle_info(:watch, state), do: {:noreply, start_flush(%{state | unflushed?: true})}

  def handle_info({:python, python, {:ready, header, _payload}}, %{python: python} = state) do
    if header[:succeeded], do: Probation.pass(state.run.probation)
    Run.report(state.run, {:ready, header.generation, header.dead})
    tell(state, {:ready, header.generation})
    {:noreply, %{state | generation: header.generation}}
  end

  def handle_info({:python, python, {:waiting, reason}}, %{python: python} = state) do
    Run.report(state.run, {:waiting, reason})
    {:noreply, state}
  end

  def handle_info({:python, python, {:frame, header, payload}}, %{python: python} = state) do
    case frame(header, payload, state) do
      %__MODULE__{} = state ->
        {:noreply, state}

      {:failed, words} ->
        Run.report(state.run, {:failed, words})
        {:stop, {:shutdown, :failed}, state}

      :nonsense ->
        Python.kill(python, :nonsense, "an unexpected #{inspect(header[:kind])} frame")
        {:noreply, state}
    end
  end

  def handle_info({:python, _python, _message}, state), do: {:noreply, state}
  def handle_info(:start_python, state), do: {:noreply, start_python(state)}

  def handle_info({:EXIT, python, {:shutdown, %Death{cause: :refused} = death}}, %{python: python} = state) do
    Run.report(state.run, {:failed, Death.message(death)})
    {:stop, {:shutdown, :failed}, state}
  end

  def handle_info({:EXIT, python, {:shutdown, %Death{} = death}}, %{python: python} = state) do
    Logger.warning(
      "store #{Death.message(death)}; started again, every partition goes back to its checkpoint"
    )

    {delay, backoff} = Backoff.next(state.backoff)
    Process.send_after(self(), :start_python, delay)
    tell(state, :lost)
    if map_size(state.folding) > 0, do: Consumer.ask(state.consumer, state.tag, map_size(state.folding))

    state = answer_waiting(%{state | python: nil, generation: nil, backoff: backoff})
    {:noreply, %{state | folding: %{}, flush: nil, flush_again?: false, unflushed?: false}}
  end

  def handle_info({:EXIT, python, reason}, %{python: python} = state), do: {:stop, reason, state}
  def handle_info({:EXIT, _pid, _reason}, state), do: {:noreply, state}

  def handle_info(message, state) do
    case Consumer.handle(state.consumer, message) do
      {:events, _tag, results, consumer} ->
        {:noreply, Enum.reduce(results, %{state | consumer: consumer}, &fold/2)}

      {:cancelled, _tag, reason, _consumer} ->
        {:stop, {:shutdown, {:sequencer, reason}}, state}

      _ ->
        {:noreply, state}
    end
  end

  ## Requests

  # Without a process there is nothing to ask: whoever asked asks again when it hears that the next one is ready.
  defp request(%{generation: nil} = state, _header, _payload), do: state

  defp request(%{next_id: id} = state, header, payload) do
    Python.send_frame(state.python, Map.put(header, :id, id), payload)
    %{state | next_id: id + 1}
  end

  # Nothing that comes while there is no process is worth keeping: its assignment ended with the last one.
  defp fold(_result, %{generation: nil} = state) do
    Consumer.ask(state.consumer, state.tag, 1)
    state
  end

  defp fold(%Result{} = result, %{next_id: id} = state) do
    header =
      result
      |> Map.take([:partition, :assignment, :first, :next, :mark, :replay])
      |> Map.merge(result.ledger)
      |> Map.merge(%{kind: :fold, id: id})

    Python.send_frame(state.python, header, result.payload)
    %{state | next_id: id + 1, folding: Map.put(state.folding, id, %{result | payload: ""}), unflushed?: true}
  end

  defp start_flush(%{generation: nil} = state), do: state
  defp start_flush(%{unflushed?: false} = state), do: state
  defp start_flush(%{flush: id} = state) when id != nil, do: state

  defp start_flush(%{next_id: id} = state) do
    Python.send_frame(state.python, %{kind: :flush, id: id}, "")
    %{state | next_id: id + 1, flush: id, unflushed?: false}
  end

  ## Answers

  defp frame(%{kind: :folded, id: id} = header, _payload, state) do
    Profile.add(state.run.name, header)
    folded(state, id)
  end

  defp frame(%{kind: :stale, id: id}, _payload, state), do: stale(state, id)

  defp frame(%{kind: :known}, payload, state) do
    tell(state, {:known, payload})
    state
  end

  defp frame(%{kind: :opened, partition: partition} = header, _payload, state) do
    tell(state, {:opened, Map.take(header, [:partition, :shown, :assignment, :upto])})
    durable(state, partition, Ledger.from_header(header))
  end

  defp frame(%{kind: :opened_all, assignment: assignment}, _payload, state) do
    tell(state, {:opened_all, assignment})
    state
  end

  defp frame(%{kind: :checkpoint, partition: partition, upto: upto} = header, _payload, state) do
    with {:ok, rows} <- Notes.rows(header),
         %__MODULE__{} = state <- durable(state, partition, Ledger.from_header(header)) do
      Notes.add(state.run.name, rows)
      tell(state, {:checkpoint, partition, upto})
      state
    else
      _ -> :nonsense
    end
  end

  defp frame(%{kind: :elsewhere, partition: partition, upto: upto}, _payload, state) do
    tell(state, {:elsewhere, partition, upto})
    state
  end

  defp frame(%{kind: :lost, partition: partition}, _payload, state) do
    Logger.warning("another run has moved on with #{partition}: going back to its checkpoint")
    tell(state, {:lost, partition})
    state
  end

  defp frame(%{kind: :superseded, reason: reason}, _payload, _state), do: {:failed, reason}

  defp frame(%{kind: :flushed, id: id} = header, _payload, %{flush: id} = state) do
    Profile.add(state.run.name, header)
    flushed(state)
  end

  defp frame(_header, _payload, _state), do: :nonsense

  defp folded(state, id) do
    case Map.pop(state.folding, id) do
      {nil, _folding} ->
        :nonsense

      {result, folding} ->
        Consumer.ask(state.consumer, state.tag, 1)
        tell(state, {:folded, result})

        state = live(state, result.partition, Ledger.add(state.ledgers[result.partition], result.ledger))

        %{state | folding: folding, backoff: Backoff.reset(state.backoff)}
    end
  end

  defp stale(state, id) do
    Consumer.ask(state.consumer, state.tag, 1)
    %{state | folding: Map.delete(state.folding, id)}
  end

  # Whoever asks or waits may have come while this flush was under way, behind results that it does not hold.
  defp flushed(%{unflushed?: true, flush_again?: again?, waiting: waiting} = state)
       when again? or waiting != [],
       do: start_flush(%{state | flush: nil, flush_again?: false})

  defp flushed(state), do: answer_waiting(%{state | flush: nil, flush_again?: false})

  defp answer_waiting(state) do
    Enum.each(state.waiting, &GenServer.reply(&1, :ok))
    %{state | waiting: []}
  end

  defp durable(_state, _partition, :error), do: :nonsense

  defp durable(state, partition, {:ok, ledger}) do
    state = put_in(state.durable[partition], ledger)
    Status.put(state.run.name, :durable, Ledger.whole(state.durable))
    live(state, partition, ledger)
  end

  defp live(state, partition, ledger) do
    state = put_in(state.ledgers[partition], ledger)
    Status.put(state.run.name, :ledger, Ledger.whole(state.ledgers))
    state
  end

  defp tell(state, event), do: Enum.each(state.subscribers, &send(&1, {:store, event}))

  defp start_python(state), do: %{state | python: Run.start_python(state.run, :store)}
end
