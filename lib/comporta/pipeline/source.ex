defmodule Comporta.Pipeline.Source do
  @moduledoc """
  The first stage: batches from the Python process that reads the source, to whoever asks for them.

  Demand becomes credit: the process may send as many batches as were asked for and as fit the bytes that may be in
  flight, counted from their arrival here until the store has folded what came of them. That bound holds for the whole
  pipeline, whatever the backlog.

  A partition is read under an assignment, a number of this stage's own that only grows. It is opened in the store,
  which says where to start. Whenever the store's process was lost, or the store says that somebody else went on with a
  partition, the source's process is asked to announce it again, and it is opened under a new assignment; what is still
  on its way under an old one is worth nothing and is dropped where it arrives. So is what is in flight of a partition
  that the source says is revoked.

  The source's process hears a pulse from here every second: one that does not, as its BEAM is frozen, lets go of what
  it holds for the BEAM.
  """

  use GenServer

  require Logger

  alias Comporta.{Backoff, Notes, Profile, Python, Status}
  alias Comporta.Pipeline.{Assignments, Batch, Pace, Run, Store}
  alias Comporta.Python.Death
  alias Comporta.Stage.Producer

  defstruct [
    :run,
    :producer,
    python: nil,
    ready?: false,
    credit: 0,
    assignments: Assignments.new(),
    pace: Pace.new(),
    draining: nil,
    rebalancing?: false,
    closing: nil,
    finished?: false,
    backoff: Backoff.new()
  ]

  @pulse_ms 1_000

  @doc "Starts the source of a pipeline."
  @spec start_link(Run.t()) :: GenServer.on_start()
  def start_link(run), do: GenServer.start_link(__MODULE__, run, name: Run.name(run, :source))

  @doc "Pulls no more, and returns when nothing is in flight any longer."
  @spec drain(GenServer.server(), timeout) :: :ok
  def drain(source, timeout), do: GenServer.call(source, :drain, timeout)

  @doc "Has the source's process pass on what is durable, for those who look at it there, and so within a bound."
  @spec close(GenServer.server(), timeout) :: :ok
  def close(source, timeout) do
    GenServer.call(source, :close, timeout)
  catch
    :exit, {:timeout, _call} -> :ok
  end

  @impl true
  def init(run) do
    Process.flag(:trap_exit, true)
    {:ok, _} = :timer.send_interval(@pulse_ms, :pulse)
    Store.subscribe(Run.name(run, :store))
    key = if run.definition.ordered, do: & &1.partition
    {:ok, %__MODULE__{run: run, producer: Producer.new(key: key)}}
  end

  @impl true
  def handle_call(:drain, from, state) do
    {waiting, producer} = Producer.clear(state.producer)
    assignments = Assignments.dropped(state.assignments, waiting)
    {:noreply, drained(%{state | producer: producer, assignments: assignments, draining: from})}
  end

  def handle_call(:close, _from, %{ready?: false} = state), do: {:reply, :ok, state}

  def handle_call(:close, from, state) do
    send_frame(state, %{kind: :close})
    {:noreply, %{state | closing: from}}
  end

  @impl true
  def handle_info({:store, event}, state), do: {:noreply, store(event, state)}

  def handle_info({:python, python, {:ready, _header, _payload}}, %{python: python} = state) do
    {:noreply, pull(%{state | ready?: true, credit: 0})}
  end

  def handle_info({:python, python, {:frame, header, payload}}, %{python: python} = state) do
    case frame(header, payload, state) do
      %__MODULE__{} = state ->
        {:noreply, state}

      :nonsense ->
        Python.kill(python, :nonsense, "an unexpected #{inspect(header[:kind])} frame")
        {:noreply, state}
    end
  end

  def handle_info({:python, _python, _message}, state), do: {:noreply, state}

  def handle_info(:pulse, state) do
    send_frame(state, %{kind: :pulse})
    if waits_for_others?(state), do: Store.elsewhere(Run.name(state.run, :store))
    {:noreply, state}
  end

  def handle_info(:start_python, state) do
    Store.known(Run.name(state.run, :store))
    {:noreply, state}
  end

  def handle_info({:EXIT, python, {:shutdown, %Death{} = death}}, %{python: python} = state) do
    died(
      %{
        forget(state)
        | python: nil,
          ready?: false,
          rebalancing?: false,
          assignments: Assignments.revoke_all(state.assignments)
      },
      death
    )
  end

  def handle_info({:EXIT, python, reason}, %{python: python} = state), do: {:stop, reason, state}
  def handle_info({:EXIT, _pid, _reason}, state), do: {:noreply, state}

  def handle_info(message, state) do
    case Producer.handle(state.producer, message) do
      {:ok, producer} -> {:noreply, pull(%{state | producer: producer})}
      :unknown -> {:noreply, state}
    end
  end

  ## The store's events

  defp store({:ready, _generation}, %{python: nil} = state) do
    Store.known(Run.name(state.run, :store))
    state
  end

  defp store({:ready, _generation}, state) do
    send_frame(state, %{kind: :announce, partition: nil})
    forget(state)
  end

  defp store({:known, payload}, %{python: nil} = state), do: start_python(state, payload)
  defp store({:known, _payload}, state), do: state
  defp store(:lost, state), do: forget(state)

  defp store({:lost, partition}, state) do
    send_frame(state, %{kind: :announce, partition: partition})
    revoke(state, partition)
  end

  defp store({:opened, %{partition: name, assignment: assignment, upto: upto} = partition}, state) do
    if Assignments.opening?(state.assignments, name, assignment) do
      send_frame(state, %{kind: :seek, partition: name, assignment: assignment, offset: upto})
      %{state | assignments: Assignments.opened(state.assignments, partition)}
    else
      state
    end
  end

  defp store({:opened_all, assignment}, state) do
    finish(%{state | assignments: Assignments.opened_all(state.assignments, assignment)})
  end

  defp store({:folded, result}, state) do
    %{
      state
      | assignments: Assignments.folded(state.assignments, result),
        pace: Pace.worked(state.pace, result.took_us, result.ledger.consumed),
        backoff: Backoff.reset(state.backoff)
    }
    |> drained()
    |> settled()
    |> pull()
    |> finish()
  end

  defp store({:checkpoint, partition, upto}, state) do
    send_frame(state, %{kind: :checkpoint, partition: partition, upto: upto})
    finish(settled(%{state | assignments: Assignments.checkpoint(state.assignments, partition, upto)}))
  end

  defp store({:elsewhere, partition, upto}, state) do
    finish(%{state | assignments: Assignments.elsewhere(state.assignments, partition, upto)})
  end

  defp revoke(state, partition) do
    %{state | assignments: Assignments.revoke(state.assignments, partition)}
    |> drained()
    |> settled()
    |> pull()
  end

  # What waits here to be worked on belongs to assignments that have ended.
  defp forget(state) do
    {_waiting, producer} = Producer.clear(state.producer)
    drained(%{state | producer: producer, assignments: Assignments.forget(state.assignments)})
  end

  ## The process's frames

  defp frame(%{kind: :assigned}, payload, state) do
    {assignment, assignments} = Assignments.assign(state.assignments)
    Store.open(Run.name(state.run, :store), assignment, payload)
    %{state | assignments: assignments}
  end

  defp frame(%{kind: :revoked, partition: partition}, _payload, state) when is_binary(partition) do
    Store.close(Run.name(state.run, :store), partition)
    finish(revoke(state, partition))
  end

  defp frame(%{kind: :draining}, _payload, state), do: settled(%{state | rebalancing?: true})

  defp frame(%{kind: :batch} = header, payload, state) do
    state = %{state | credit: state.credit - 1}

    case batch(header, payload, state) do
      {:ok, batch} -> pull(take(state, batch))
      :stale -> pull(state)
      :nonsense -> :nonsense
    end
  end

  defp frame(%{kind: :end, partition: partition, offset: offset}, _payload, state) do
    finish(%{state | assignments: Assignments.ends(state.assignments, partition, offset)})
  end

  defp frame(%{kind: :listed}, _payload, state),
    do: finish(%{state | assignments: Assignments.listed(state.assignments)})

  defp frame(%{kind: :lag, unit: unit, ends: ends}, _payload, state) do
    Status.put(state.run.name, :lag, {Assignments.lag(state.assignments, ends), unit})
    state
  end

  defp frame(%{kind: :closed}, _payload, %{closing: from} = state) when from != nil do
    GenServer.reply(from, :ok)
    %{state | closing: nil}
  end

  # What it has read before still counts: this stage goes on, to be drained.
  defp frame(%{kind: :failed, reason: reason}, _payload, state) do
    Run.report(state.run, {:failed, reason})
    state
  end

  defp frame(_header, _payload, _state), do: :nonsense

  defp batch(%{partition: partition, assignment: assignment} = header, payload, state) do
    with {:ok, start} <- Assignments.start(state.assignments, partition, assignment) do
      Profile.add(state.run.name, header)
      here = %{start: start, payload: payload, arrived_at: Profile.arrived(state.run.name)}
      {:ok, struct!(Batch, header |> Map.drop([:kind, :id, :fetch_us]) |> Map.merge(here))}
    end
  rescue
    error in [KeyError, ArgumentError] ->
      Logger.error("source: a batch that is none: #{Exception.message(error)}")
      :nonsense
  end

  defp batch(_header, _payload, _state), do: :nonsense

  defp take(%{draining: nil} = state, batch) do
    Status.put(state.run.name, :worked?, true)
    {lost, assignments} = Assignments.lost(state.assignments, batch)
    Notes.add(state.run.name, %{lost_offsets: lost})
    assignments = Assignments.in_flight(assignments, batch)
    %{state | assignments: assignments, producer: Producer.emit(state.producer, [batch])}
  end

  defp take(state, _batch), do: state

  ## Credit

  defp pull(%{ready?: true, draining: nil, run: %{config: config}} = state) do
    bytes = Assignments.bytes(state.assignments)
    Status.put(state.run.name, :in_flight, Assignments.records(state.assignments))
    room = div(config.max_in_flight - bytes, config.batch_bytes)
    # A record larger than a batch must not stop the pipeline for good.
    room = if bytes == 0, do: max(room, 1), else: room
    more = min(Producer.demand(state.producer), room) - state.credit

    if more > 0 do
      header = %{kind: :pull, id: 0, count: more, records: Pace.records(state.pace)}
      Python.send_frame(state.python, header, "")
      %{state | credit: state.credit + more}
    else
      state
    end
  end

  defp pull(state), do: state

  defp drained(%{draining: {_pid, _tag} = from} = state) do
    if Assignments.idle?(state.assignments) do
      GenServer.reply(from, :ok)
      %{state | draining: :done}
    else
      state
    end
  end

  defp drained(state), do: state

  # The source may be about to lose partitions: what was read of them is finished and made durable.
  defp settled(%{rebalancing?: true} = state) do
    cond do
      Assignments.settled?(state.assignments) ->
        send_frame(state, %{kind: :drained})
        %{state | rebalancing?: false}

      Assignments.idle?(state.assignments) ->
        Store.flush(Run.name(state.run, :store))
        state

      true ->
        state
    end
  end

  defp settled(state), do: state

  defp send_frame(%{ready?: true} = state, header), do: Python.send_frame(state.python, header, "")
  defp send_frame(_state, _header), do: :ok

  defp waits_for_others?(%{finished?: false, run: %{config: %{until_end: true}}} = state),
    do: Assignments.end_reached(state.assignments) == :elsewhere

  defp waits_for_others?(_state), do: false

  defp finish(%{finished?: false, run: %{config: %{until_end: true}}} = state) do
    case Assignments.end_reached(state.assignments) do
      :checkpoint ->
        Run.report(state.run, :finished)
        %{state | finished?: true}

      :folded ->
        Store.flush(Run.name(state.run, :store))
        state

      _ ->
        state
    end
  end

  defp finish(state), do: state

  ## The interpreter

  defp start_python(state, known) do
    %{state | python: Run.start_python(state.run, :source, known), finished?: false}
  end

  defp died(state, %Death{cause: :refused} = death), do: failed(state, Death.message(death))

  defp died(%{run: %{config: %{source: "-"}}} = state, death) do
    failed(state, "the source #{Death.message(death)}: what it had read of stdin cannot be read again")
  end

  defp died(state, death) do
    Logger.warning("source #{Death.message(death)}; started again, reading goes on from the checkpoints")
    {delay, backoff} = Backoff.next(state.backoff)
    Process.send_after(self(), :start_python, delay)
    {:noreply, %{state | backoff: backoff}}
  end

  defp failed(state, words) do
    Run.report(state.run, {:failed, words})
    {:stop, {:shutdown, :failed}, state}
  end
end
