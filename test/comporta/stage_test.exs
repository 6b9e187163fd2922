defmodule Comporta.StageTest do
  use ExUnit.Case, async: true

  alias Comporta.Stage.{Consumer, Producer}

  # A stage of each kind that does nothing but speak the protocol; the tests are its peers, message by message.
  defmodule Emitting do
    use GenServer

    def start_link(options), do: GenServer.start_link(__MODULE__, options)
    def emit(stage, events), do: GenServer.call(stage, {:emit, events})
    def demand(stage), do: GenServer.call(stage, :demand)

    @impl true
    def init(options), do: {:ok, Producer.new(options)}

    @impl true
    def handle_call({:emit, events}, _from, producer), do: {:reply, :ok, Producer.emit(producer, events)}
    def handle_call(:demand, _from, producer), do: {:reply, Producer.demand(producer), producer}

    @impl true
    def handle_info(message, producer) do
      {:ok, producer} = Producer.handle(producer, message)
      {:noreply, producer}
    end
  end

  defp subscribe(stage, tag \\ make_ref(), current \\ nil) do
    send(stage, {:"$gen_producer", {self(), tag}, {:subscribe, current, []}})
    tag
  end

  defp ask(stage, tag, count), do: send(stage, {:"$gen_producer", {self(), tag}, {:ask, count}})

  describe "a producer" do
    setup context do
      %{stage: start_supervised!({Emitting, key: context[:key]})}
    end

    test "sends nothing before it is asked, and never more than was asked", %{stage: stage} do
      tag = subscribe(stage)
      Emitting.emit(stage, [1, 2, 3])
      refute_received {:"$gen_consumer", _, _}
      ask(stage, tag, 2)
      assert_receive {:"$gen_consumer", {^stage, ^tag}, [1]}
      assert_receive {:"$gen_consumer", {^stage, ^tag}, [2]}
      assert Emitting.demand(stage) == 0
      refute_received {:"$gen_consumer", _, _}
      ask(stage, tag, 1)
      assert_receive {:"$gen_consumer", {^stage, ^tag}, [3]}
    end

    test "answers a known subscription's second subscribe with a cancellation", %{stage: stage} do
      tag = stage |> subscribe() |> then(&subscribe(stage, &1))
      assert_receive {:"$gen_consumer", {^stage, ^tag}, {:cancel, :duplicated_subscription}}
      ask(stage, tag, 1)
      Emitting.emit(stage, [:still_served])
      assert_receive {:"$gen_consumer", {^stage, ^tag}, [:still_served]}
    end

    test "answers demand of an unknown subscription, and of another's, with a cancellation", %{stage: stage} do
      ask(stage, :unknown, 1)
      assert_receive {:"$gen_consumer", {^stage, :unknown}, {:cancel, :unknown_subscription}}

      tag = subscribe(stage)
      test = self()
      spawn_link(fn -> send(test, {:answer, send_and_receive(stage, tag)}) end)
      assert_receive {:answer, {:"$gen_consumer", {^stage, ^tag}, {:cancel, :unknown_subscription}}}
      assert Emitting.demand(stage) == 0
    end

    defp send_and_receive(stage, tag) do
      ask(stage, tag, 1)

      receive do
        message -> message
      end
    end

    test "confirms a cancellation, known or not", %{stage: stage} do
      tag = subscribe(stage)
      send(stage, {:"$gen_producer", {self(), tag}, {:cancel, :enough}})
      assert_receive {:"$gen_consumer", {^stage, ^tag}, {:cancel, :enough}}
      send(stage, {:"$gen_producer", {self(), tag}, {:cancel, :enough}})
      assert_receive {:"$gen_consumer", {^stage, ^tag}, {:cancel, :unknown_subscription}}
    end

    test "cancels the current subscription that a new one names first", %{stage: stage} do
      old = subscribe(stage)
      new = subscribe(stage, make_ref(), {old, :replaced})
      assert_receive {:"$gen_consumer", {^stage, ^old}, {:cancel, :replaced}}
      ask(stage, new, 1)
      Emitting.emit(stage, [1])
      assert_receive {:"$gen_consumer", {^stage, ^new}, [1]}
    end

    test "forgets the demand of a consumer that dies", %{stage: stage} do
      consumer = spawn(fn -> Process.sleep(:infinity) end)
      send(stage, {:"$gen_producer", {consumer, :theirs}, {:subscribe, nil, []}})
      send(stage, {:"$gen_producer", {consumer, :theirs}, {:ask, 5}})
      assert Emitting.demand(stage) == 5
      monitor = Process.monitor(consumer)
      Process.exit(consumer, :kill)
      assert_receive {:DOWN, ^monitor, _, _, _}
      Emitting.emit(stage, [1])
      tag = subscribe(stage)
      ask(stage, tag, 1)
      assert_receive {:"$gen_consumer", {^stage, ^tag}, [1]}
    end

    test "gives an event to the subscription that wants most", %{stage: stage} do
      little = subscribe(stage)
      much = subscribe(stage)
      ask(stage, little, 1)
      ask(stage, much, 3)
      Emitting.emit(stage, [1, 2])
      assert_receive {:"$gen_consumer", {_, ^much}, [1]}
      assert_receive {:"$gen_consumer", {_, ^much}, [2]}
    end

    @tag key: &__MODULE__.parity/1
    test "with a key keeps a key's events on one subscription, in order, and others moving", %{stage: stage} do
      [a, b] = [subscribe(stage), subscribe(stage)]
      ask(stage, a, 1)
      Emitting.emit(stage, [1, 3])
      assert_receive {:"$gen_consumer", {_, ^a}, [1]}
      ask(stage, b, 5)
      Emitting.emit(stage, [2])
      assert_receive {:"$gen_consumer", {_, ^b}, [2]}
      refute_received {:"$gen_consumer", _, [3]}
      ask(stage, a, 1)
      assert_receive {:"$gen_consumer", {_, ^a}, [3]}
    end

    @tag key: &__MODULE__.parity/1
    test "with a key finds a new home for the keys of a subscription that ends", %{stage: stage} do
      a = subscribe(stage)
      ask(stage, a, 1)
      Emitting.emit(stage, [1, 3])
      send(stage, {:"$gen_producer", {self(), a}, {:cancel, :done}})
      b = subscribe(stage)
      ask(stage, b, 1)
      assert_receive {:"$gen_consumer", {_, ^b}, [3]}
    end
  end

  def parity(number), do: rem(number, 2)

  describe "a consumer" do
    test "monitors, subscribes and asks" do
      {tag, _consumer} = Consumer.subscribe(Consumer.new(), self(), 3, min_demand: 0)
      assert_received {:"$gen_producer", {pid, ^tag}, {:subscribe, nil, [min_demand: 0]}} when pid == self()
      assert_received {:"$gen_producer", {_, ^tag}, {:ask, 3}}
    end

    test "takes events of its own subscriptions only, and cancels others" do
      {tag, consumer} = Consumer.subscribe(Consumer.new(), self(), 1)
      assert {:events, ^tag, [:a], _} = Consumer.handle(consumer, {:"$gen_consumer", {self(), tag}, [:a]})
      assert :ignored = Consumer.handle(consumer, {:"$gen_consumer", {self(), :other}, [:a]})
      assert_received {:"$gen_producer", {_, :other}, {:cancel, _}}
    end

    test "learns of a cancellation and of a producer's death, and then asks for nothing" do
      producer = spawn(fn -> Process.sleep(:infinity) end)
      {tag, consumer} = Consumer.subscribe(Consumer.new(), producer, 1)
      Process.exit(producer, :kill)
      assert_receive {:DOWN, ^tag, :process, ^producer, _} = down
      assert {:cancelled, ^tag, :killed, consumer} = Consumer.handle(consumer, down)
      assert :unknown = Consumer.handle(consumer, down)

      {tag, consumer} = Consumer.subscribe(consumer, self(), 1)
      cancelled = {:"$gen_consumer", {self(), tag}, {:cancel, :enough}}
      assert {:cancelled, ^tag, :enough, consumer} = Consumer.handle(consumer, cancelled)
      flush()
      Consumer.ask(consumer, tag, 1)
      refute_received {:"$gen_producer", _, _}
    end

    defp flush do
      receive do
        _ -> flush()
      after
        0 -> :ok
      end
    end
  end
end
