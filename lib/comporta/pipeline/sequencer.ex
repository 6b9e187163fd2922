defmodule Comporta.Pipeline.Sequencer do
  @moduledoc """
  Puts results in order: those of a partition leave by offset, whatever order the workers finished in.

  A stage that consumes from every worker and produces for the store. It asks for a result again as soon as one came:
  what it may have to hold is bounded by the source, which lets through only so many bytes that are not folded yet.
  Of a partition only the newest assignment counts; results of an older one are dropped here.
  """

  use GenServer

  alias Comporta.Pipeline.{Result, Run}
  alias Comporta.Stage.{Consumer, Producer}

  # A result is small and consumed at once; this only saves a message exchange per result.
  @demand 8

  @doc "Starts the sequencer of a pipeline."
  @spec start_link(Run.t()) :: GenServer.on_start()
  def start_link(run), do: GenServer.start_link(__MODULE__, [], name: Run.name(run, :sequencer))

  @doc "Has the sequencer consume from `producer`."
  @spec subscribe(GenServer.server(), pid) :: :ok
  def subscribe(sequencer, producer), do: GenServer.cast(sequencer, {:subscribe, producer})

  @impl true
  def init([]), do: {:ok, %{consumer: Consumer.new(), producer: Producer.new(), partitions: %{}}}

  @impl true
  def handle_cast({:subscribe, producer}, state) do
    {_tag, consumer} = Consumer.subscribe(state.consumer, producer, @demand)
    {:noreply, %{state | consumer: consumer}}
  end

  @impl true
  def handle_info(message, state) do
    with :unknown <- from_workers(message, state), :unknown <- to_store(message, state) do
      {:noreply, state}
    end
  end

  defp from_workers(message, state) do
    case Consumer.handle(state.consumer, message) do
      {:events, tag, results, consumer} ->
        Consumer.ask(consumer, tag, length(results))
        {:noreply, Enum.reduce(results, %{state | consumer: consumer}, &sequence/2)}

      {:cancelled, _tag, _reason, consumer} ->
        {:noreply, %{state | consumer: consumer}}

      :ignored ->
        {:noreply, state}

      :unknown ->
        :unknown
    end
  end

  defp to_store(message, state) do
    with {:ok, producer} <- Producer.handle(state.producer, message),
         do: {:noreply, %{state | producer: producer}}
  end

  defp sequence(%Result{} = result, state) do
    case Map.get(state.partitions, result.partition) do
      %{assignment: newest} when newest > result.assignment ->
        state

      %{assignment: newest} = partition when newest == result.assignment ->
        release(state, result.partition, put_in(partition.held[result.first], result), [])

      _ ->
        partition = %{assignment: result.assignment, next: result.start, held: %{result.first => result}}
        release(state, result.partition, partition, [])
    end
  end

  defp release(state, name, partition, released) do
    case Map.pop(partition.held, partition.next) do
      {nil, _held} ->
        producer = Producer.emit(state.producer, Enum.reverse(released))
        %{state | producer: producer, partitions: Map.put(state.partitions, name, partition)}

      {result, held} ->
        release(state, name, %{partition | held: held, next: result.next}, [result | released])
    end
  end
end
