defmodule Comporta.Stage.Producer do
  @moduledoc """
  The producing half of a stage: subscriptions, their demand, and the events that wait for demand.

  An event goes to the subscription with the largest demand, the longest subscribed one first among equals. With
  `:key`, a function from an event to a term, events of one key all go to one subscription, in order, for as long as
  that subscription lives; an event whose subscription has no demand waits without holding up events of other keys.
  """

  alias Comporta.Stage

  defstruct consumers: %{}, order: [], waiting: :queue.new(), key: nil, homes: %{}

  @opaque t :: %__MODULE__{
            consumers: %{Stage.tag() => consumer},
            order: [Stage.tag()],
            waiting: :queue.queue(term),
            key: (term -> term) | nil,
            homes: %{term => Stage.tag()}
          }
  @typep consumer :: %{pid: pid, monitor: reference, demand: non_neg_integer}

  @doc "A producer without subscriptions. Option `:key` as the moduledoc says; without it there is no affinity."
  @spec new(key: (term -> term) | nil) :: t
  def new(options \\ []), do: %__MODULE__{key: options[:key]}

  @doc "Hands over `events`, in order, as far as there is demand; the rest waits for it."
  @spec emit(t, [term]) :: t
  def emit(producer, events) do
    dispatch(%{producer | waiting: Enum.reduce(events, producer.waiting, &:queue.in/2)})
  end

  @doc "How many more events the subscribers have asked for."
  @spec demand(t) :: non_neg_integer
  def demand(producer), do: producer.consumers |> Map.values() |> Enum.map(& &1.demand) |> Enum.sum()

  @doc "Takes back the events that wait for demand."
  @spec clear(t) :: {[term], t}
  def clear(producer), do: {:queue.to_list(producer.waiting), %{producer | waiting: :queue.new()}}

  @doc "Takes a message if it is one of the protocol's to a producer; `:unknown` if it is not."
  @spec handle(t, term) :: {:ok, t} | :unknown
  def handle(producer, {:"$gen_producer", {pid, tag} = from, message}) when is_pid(pid) do
    case message do
      {:subscribe, current, options} when is_list(options) -> {:ok, subscribe(producer, from, current)}
      {:ask, count} when is_integer(count) and count > 0 -> {:ok, ask(producer, from, count)}
      {:cancel, reason} -> {:ok, cancel(producer, tag, pid, reason)}
      _ -> {:ok, producer}
    end
  end

  def handle(producer, {:DOWN, monitor, :process, _pid, _reason}) do
    case Enum.find(producer.consumers, fn {_tag, consumer} -> consumer.monitor == monitor end) do
      {tag, _consumer} -> {:ok, producer |> forget(tag) |> dispatch()}
      nil -> :unknown
    end
  end

  def handle(_producer, _message), do: :unknown

  defp subscribe(producer, {pid, tag} = from, current) do
    producer = cancel_current(producer, pid, current)

    if Map.has_key?(producer.consumers, tag) do
      Stage.to_consumer(from, {:cancel, :duplicated_subscription})
      producer
    else
      consumer = %{pid: pid, monitor: Process.monitor(pid), demand: 0}
      %{producer | consumers: Map.put(producer.consumers, tag, consumer), order: producer.order ++ [tag]}
    end
  end

  defp cancel_current(producer, pid, {tag, reason}), do: cancel(producer, tag, pid, reason)
  defp cancel_current(producer, _pid, nil), do: producer

  defp ask(producer, {pid, tag} = from, count) do
    case producer.consumers do
      %{^tag => %{pid: ^pid} = consumer} ->
        consumers = Map.put(producer.consumers, tag, %{consumer | demand: consumer.demand + count})
        dispatch(%{producer | consumers: consumers})

      _ ->
        Stage.to_consumer(from, {:cancel, :unknown_subscription})
        producer
    end
  end

  defp cancel(producer, tag, asking, reason) do
    case producer.consumers do
      %{^tag => %{pid: registered}} ->
        Stage.to_consumer({registered, tag}, {:cancel, reason})
        producer |> forget(tag) |> dispatch()

      _ ->
        Stage.to_consumer({asking, tag}, {:cancel, :unknown_subscription})
        producer
    end
  end

  defp forget(producer, tag) do
    {%{monitor: monitor}, consumers} = Map.pop!(producer.consumers, tag)
    Process.demonitor(monitor, [:flush])
    homes = Map.reject(producer.homes, fn {_key, home} -> home == tag end)
    %{producer | consumers: consumers, order: List.delete(producer.order, tag), homes: homes}
  end

  defp dispatch(%{key: nil} = producer) do
    with {:value, event} <- :queue.peek(producer.waiting), tag when tag != nil <- neediest(producer) do
      dispatch(send_event(%{producer | waiting: :queue.drop(producer.waiting)}, tag, event))
    else
      _ -> producer
    end
  end

  defp dispatch(producer) do
    {producer, held} =
      Enum.reduce(:queue.to_list(producer.waiting), {producer, []}, fn event, {producer, held} ->
        case home(producer, producer.key.(event)) do
          {producer, nil} -> {producer, [event | held]}
          {producer, tag} -> {send_event(producer, tag, event), held}
        end
      end)

    %{producer | waiting: :queue.from_list(Enum.reverse(held))}
  end

  # The subscription that takes a key's events now, if it has demand; a key without a home gets one.
  defp home(producer, key) do
    case producer.homes do
      %{^key => tag} -> {producer, if(producer.consumers[tag].demand > 0, do: tag)}
      _ -> settle(producer, key, neediest(producer))
    end
  end

  defp settle(producer, _key, nil), do: {producer, nil}
  defp settle(producer, key, tag), do: {put_in(producer.homes[key], tag), tag}

  defp neediest(producer) do
    tag = Enum.max_by(producer.order, &producer.consumers[&1].demand, fn -> nil end)
    if tag != nil and producer.consumers[tag].demand > 0, do: tag
  end

  defp send_event(producer, tag, event) do
    consumer = producer.consumers[tag]
    Stage.to_consumer({consumer.pid, tag}, [event])
    %{producer | consumers: Map.put(producer.consumers, tag, %{consumer | demand: consumer.demand - 1})}
  end
end
