defmodule Comporta.Pipeline.Worker do
  @moduledoc """
  The stage of one Python worker: consumes batches from the source, produces results for the sequencer.

  It has at most two batches: one that is being worked on, one that waits in the worker's socket. The stage outlives
  its interpreter: when that dies, the oldest unanswered piece is charged with the death (`Comporta.Pipeline.Piece`) and
  everything unanswered goes to the next interpreter. The pieces of a batch that kills workers queue behind the other
  batch, so that it does not wait for their isolation; where the transform asked for order they go first.

  The clock of a batch starts when it becomes the oldest one and stands still while the worker waits for claims.
  """

  use GenServer

  require Logger

  alias Comporta.{Backoff, Ledger, Profile, Python}
  alias Comporta.Pipeline.{Batch, Claims, Clock, Note, Piece, Probation, Result, Run, Sequencer}
  alias Comporta.Python.Death
  alias Comporta.Stage.{Consumer, Producer}

  @batches 2

  @enforce_keys [:run, :number, :name]
  defstruct @enforce_keys ++
              [
                python: nil,
                ready?: false,
                backoff: Backoff.new(),
                consumer: Consumer.new(),
                tag: nil,
                producer: Producer.new(),
                waiting: [],
                running: [],
                note: nil,
                left: %{},
                next_id: 1,
                clock: Clock.stopped(),
                served: 0,
                started_at: 0,
                modules: nil
              ]

  @doc "Starts the stage of worker `number`."
  @spec start_link({Run.t(), pos_integer}) :: GenServer.on_start()
  def start_link({run, number}) do
    GenServer.start_link(__MODULE__, {run, number}, name: Run.name(run, {:worker, number}))
  end

  @impl true
  def init({run, number}) do
    Process.flag(:trap_exit, true)
    state = start_python(%__MODULE__{run: run, number: number, name: "worker #{number}"})
    Sequencer.subscribe(Run.name(run, :sequencer), self())
    {:ok, state, {:continue, :subscribe}}
  end

  @impl true
  def handle_continue(:subscribe, state) do
    source = GenServer.whereis(Run.name(state.run, :source))

    {tag, consumer} =
      Consumer.subscribe(state.consumer, source, @batches, min_demand: 0, max_demand: @batches)

    {:noreply, %{state | consumer: consumer, tag: tag}}
  end

  @impl true
  def handle_info({:python, python, {:ready, header, _}}, %{python: python} = state) do
    {:noreply, advance(modules(%{state | ready?: true}, header[:modules]))}
  end

  def handle_info({:python, python, {:frame, header, payload}}, %{python: python} = state) do
    case frame(header, payload, state) do
      {:ok, state} -> {:noreply, state}
      {:failed, words} -> fail(state, words)
      :nonsense -> {:noreply, nonsense(state, header)}
    end
  end

  def handle_info({:python, _python, _message}, state), do: {:noreply, state}

  def handle_info({:claimed, {python, id}, payload}, %{python: python} = state) do
    Python.send_frame(python, %{kind: :answer, id: id}, payload)
    {:noreply, %{state | clock: Clock.resume(state.clock)}}
  end

  def handle_info({:claimed, _ref, _payload}, state), do: {:noreply, state}

  def handle_info({:time_over, ref}, state) do
    case Clock.look(state.clock, ref) do
      :over ->
        Python.kill(state.python, :timeout, "no answer within #{state.run.config.batch_timeout} ms")
        {:noreply, state}

      clock ->
        {:noreply, %{state | clock: clock}}
    end
  end

  def handle_info(:start_python, state), do: {:noreply, start_python(state)}

  def handle_info({:EXIT, python, {:shutdown, %Death{} = death}}, %{python: python} = state) do
    noted = Note.take(state.note)
    died(%{state | python: nil, ready?: false, note: nil, clock: Clock.stop(state.clock)}, death, noted)
  end

  def handle_info({:EXIT, python, reason}, %{python: python} = state), do: {:stop, reason, state}

  def handle_info(message, state) do
    with :unknown <- from_source(message, state), :unknown <- to_sequencer(message, state) do
      {:noreply, state}
    end
  end

  defp from_source(message, state) do
    case Consumer.handle(state.consumer, message) do
      {:events, _tag, batches, consumer} ->
        pieces = Enum.map(batches, &Piece.whole/1)
        left = Map.merge(state.left, Map.new(batches, &{Batch.key(&1), 1}))
        {:noreply, advance(%{state | consumer: consumer, left: left, waiting: state.waiting ++ pieces})}

      {:cancelled, _tag, reason, _consumer} ->
        {:stop, {:shutdown, {:source, reason}}, state}

      :ignored ->
        {:noreply, state}

      :unknown ->
        :unknown
    end
  end

  defp to_sequencer(message, state) do
    with {:ok, producer} <- Producer.handle(state.producer, message),
         do: {:noreply, %{state | producer: producer}}
  end

  ## Requests

  # Sends what may be sent now: at most two pieces, and none behind a piece or a recycling that wants the worker alone.
  defp advance(%{ready?: true, waiting: [piece | rest]} = state) when length(state.running) < @batches do
    cond do
      worn?(state) or (Piece.fresh?(piece) and state.served > 0) ->
        recycle(state)

      state.running != [] and Enum.any?([piece | Enum.map(state.running, &elem(&1, 1))], &Piece.fresh?/1) ->
        state

      true ->
        advance(request(%{state | waiting: rest}, piece))
    end
  end

  defp advance(%{ready?: true, running: []} = state), do: if(worn?(state), do: recycle(state), else: state)
  defp advance(state), do: state

  defp request(%{next_id: id} = state, piece) do
    note = if Piece.careful?(piece), do: Note.new()
    header = Piece.header(piece, id, Probation.on?(state.run.probation), note)
    Python.send_frame(state.python, header, piece.batch.payload)
    state = %{state | next_id: id + 1, running: state.running ++ [{id, piece}], note: note}
    if match?([_], state.running), do: time(state), else: state
  end

  # The oldest piece's time begins now.
  defp time(%{running: []} = state), do: %{state | clock: Clock.stop(state.clock)}

  defp time(%{running: [{_id, piece} | _], run: run} = state) do
    Profile.begun(run.name, piece.batch.arrived_at)
    %{state | clock: Clock.start(state.clock, run.config.batch_timeout)}
  end

  ## Answers

  defp frame(%{kind: :outline, id: id, count: count, middle: middle}, _payload, state) when is_integer(count),
    do: said(state, id, &Piece.outlined(&1, count, middle))

  defp frame(%{kind: :decoded, id: id, count: count, middle: middle} = header, _payload, state)
       when is_integer(count) do
    if outgrown?(header, state.running, state.run.config.worker_memory) do
      Python.kill(state.python, :memory, header.memory)
      {:ok, state}
    else
      said(state, id, &Piece.decoded(&1, count, middle, notes?(header, state)))
    end
  end

  defp frame(%{kind: :call, id: id, to: :claims}, payload, %{running: [{id, _piece} | _]} = state) do
    Claims.claim(Run.name(state.run, :claims), {self(), {state.python, id}}, payload)
    {:ok, %{state | clock: Clock.pause(state.clock)}}
  end

  defp frame(%{kind: :result, id: id} = header, payload, %{running: [{id, piece} | rest]} = state) do
    case Ledger.from_header(header) do
      {:ok, ledger} when piece.decoded? ->
        Profile.add(state.run.name, header)
        answered(%{state | running: rest}, piece, ledger, Profile.busy_us(header), payload)

      _ ->
        :nonsense
    end
  end

  defp frame(%{kind: :hopeless, reason: reason}, _payload, _state), do: {:failed, hopeless(reason)}
  defp frame(_header, _payload, _state), do: :nonsense

  defp said(%{running: [{id, piece} | rest]} = state, id, change),
    do: {:ok, %{state | running: [{id, change.(piece)} | rest]}}

  defp said(_state, _id, _change), do: :nonsense

  # On probation deaths tell a typo from bad data: ten must come before the first record is a dead letter.
  defp notes?(header, state), do: header[:notes] == true and not Probation.on?(state.run.probation)

  # Whether it is decoding that took too much: left to the next look at its memory, user code would be charged with that.
  # Where the limit hardly has room for anything, decoding is not to blame.
  defp outgrown?(%{before: before, memory: memory}, [{_id, %{count: outlined}} | _], limit)
       when is_integer(before) and is_integer(memory) and is_integer(outlined),
       do: memory > limit and memory - before > div(limit, 2)

  defp outgrown?(_header, _running, _limit), do: false

  defp answered(state, piece, ledger, took_us, payload) do
    case judge(state.run.probation, piece, ledger) do
      :ok ->
        _ = Note.take(state.note)
        producer = Producer.emit(state.producer, [result(piece, ledger, took_us, payload)])
        backoff = Backoff.reset(state.backoff)
        state = %{state | served: state.served + 1, backoff: backoff, producer: producer, note: nil}
        {:ok, state |> time() |> finished(piece.batch) |> advance()}

      :hopeless ->
        {:failed, hopeless("its records all fail")}
    end
  end

  # Those that could not be decoded say nothing of the transform.
  defp judge(probation, piece, %{dead: dead, consumed: consumed}) when dead == consumed,
    do: Probation.failures(probation, piece.count)

  defp judge(probation, _piece, _ledger), do: Probation.pass(probation)

  defp result(%Piece{batch: batch} = piece, ledger, took_us, payload) do
    %Result{
      partition: batch.partition,
      assignment: batch.assignment,
      start: batch.start,
      first: piece.first,
      next: piece.next,
      mark: if(piece.next == batch.next, do: batch.mark, else: ""),
      replay: batch.replay,
      ledger: ledger,
      took_us: took_us,
      payload: payload
    }
  end

  # A batch is done with, and the next one asked for, when none of its pieces is left.
  defp finished(state, batch) do
    case Map.pop!(state.left, Batch.key(batch)) do
      {1, left} ->
        Consumer.ask(state.consumer, state.tag, 1)
        %{state | left: left}

      {pieces, left} ->
        %{state | left: Map.put(left, Batch.key(batch), pieces - 1)}
    end
  end

  ## Deaths

  defp died(state, %Death{cause: :refused} = death, _noted), do: fail(state, Death.message(death))

  defp died(%{running: running} = state, %Death{cause: :recycled}, _noted) do
    waiting = Enum.map(running, &elem(&1, 1)) ++ state.waiting
    {:noreply, start_python(%{state | running: [], waiting: waiting})}
  end

  defp died(%{running: []} = state, death, _noted) do
    Logger.warning("#{state.name} #{Death.message(death)}; a new one is started")

    case Probation.death(state.run.probation) do
      :ok -> {:noreply, restart_later(state)}
      :hopeless -> fail(state, hopeless("a worker that had nothing to do #{Death.message(death)}"))
    end
  end

  defp died(%{running: [{_id, piece} | others]} = state, death, noted) do
    batch = piece.batch
    place = "#{batch.shown} at offsets #{piece.first} to #{piece.next}"
    Logger.warning("#{state.name} #{Death.message(death)} while it worked on #{place}")
    others = Enum.map(others, &elem(&1, 1))

    with {:probation, :ok} <- {:probation, Probation.death(state.run.probation)},
         {:pieces, pieces} <- Piece.charge(piece, death, noted) do
      state = %{state | running: [], waiting: requeue(state, pieces, others)}
      {:noreply, restart_later(update_in(state.left[Batch.key(batch)], &(&1 + length(pieces) - 1)))}
    else
      {:probation, :hopeless} -> fail(state, hopeless("a worker #{Death.message(death)}, at #{place}"))
      :hopeless -> fail(state, unburied(place, death))
    end
  end

  defp requeue(%{run: %{definition: %{ordered: true}}} = state, pieces, others),
    do: pieces ++ others ++ state.waiting

  defp requeue(state, pieces, others), do: others ++ state.waiting ++ pieces

  defp hopeless(reason) do
    "the transform has never succeeded, and is not tried any further: #{reason}. Nothing was skipped: mend it and start again"
  end

  defp unburied(place, death) do
    "not even dead letters can be made of #{place}: every worker that tries ends, and the last one " <>
      "#{Death.message(death)}. Nothing was skipped: mend it and start again"
  end

  defp fail(state, words) do
    Run.report(state.run, {:failed, words})
    {:stop, {:shutdown, :failed}, state}
  end

  defp nonsense(state, header) do
    Python.kill(state.python, :nonsense, "an unexpected #{inspect(header[:kind])} frame")
    state
  end

  ## The interpreter

  defp start_python(%{run: run, number: number} = state) do
    started_at = System.monotonic_time(:millisecond)
    %{state | python: Run.start_python(run, {:worker, number}), served: 0, started_at: started_at}
  end

  defp restart_later(state) do
    {delay, backoff} = Backoff.next(state.backoff)
    Process.send_after(self(), :start_python, delay)
    %{state | backoff: backoff}
  end

  defp worn?(%{served: 0}), do: false

  defp worn?(%{run: %{config: config}} = state) do
    reached?(state.served, config.worker_batches) or
      reached?(System.monotonic_time(:millisecond) - state.started_at, config.worker_age) or
      reached?(Python.memory(state.python), config.worker_memory && div(config.worker_memory * 4, 5))
  end

  defp reached?(value, limit), do: is_integer(limit) and is_integer(value) and value >= limit

  # Between batches: what is running is answered first.
  defp recycle(%{running: []} = state) do
    Python.kill(state.python, :recycled, "")
    %{state | ready?: false}
  end

  defp recycle(state), do: state

  defp modules(%{modules: before} = state, hash) do
    if before not in [nil, hash] do
      Logger.warning(
        "#{state.name} runs other code than before: a module that the pipeline imports has changed"
      )
    end

    %{state | modules: hash}
  end
end
