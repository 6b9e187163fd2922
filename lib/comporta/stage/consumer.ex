defmodule Comporta.Stage.Consumer do
  @moduledoc """
  The consuming half of a stage: subscriptions to producers, demand, and what comes of it.
  """

  alias Comporta.Stage

  defstruct producers: %{}

  @opaque t :: %__MODULE__{producers: %{Stage.tag() => pid}}

  @doc "A consumer without subscriptions."
  @spec new() :: t
  def new, do: %__MODULE__{}

  @doc "Subscribes to a producer, with GenStage's own `options` for it, and asks for `count` events at once."
  @spec subscribe(t, pid, pos_integer, keyword) :: {Stage.tag(), t}
  def subscribe(consumer, producer, count, options \\ []) do
    tag = Process.monitor(producer)
    Stage.to_producer({producer, tag}, {:subscribe, nil, options})
    consumer = put_in(consumer.producers[tag], producer)
    ask(consumer, tag, count)
    {tag, consumer}
  end

  @doc "Asks for `count` more events of a subscription; nothing where it has ended."
  @spec ask(t, Stage.tag(), pos_integer) :: :ok
  def ask(consumer, tag, count) do
    case consumer.producers do
      %{^tag => producer} -> Stage.to_producer({producer, tag}, {:ask, count})
      _ -> :ok
    end
  end

  @doc """
  Takes a message if it is one of the protocol's to a consumer: events of a subscription, or its end. `:ignored` is one
  of a subscription that this stage does not have, answered as the protocol demands; `:unknown` is none of the protocol's.
  """
  @spec handle(t, term) ::
          {:events, Stage.tag(), [term], t} | {:cancelled, Stage.tag(), term, t} | :ignored | :unknown
  def handle(consumer, {:"$gen_consumer", {pid, tag}, message}) when is_pid(pid) do
    case {consumer.producers, message} do
      {%{^tag => ^pid}, {:cancel, reason}} ->
        Process.demonitor(tag, [:flush])
        {:cancelled, tag, reason, forget(consumer, tag)}

      {%{^tag => ^pid}, [_ | _] = events} ->
        {:events, tag, events, consumer}

      {_, [_ | _]} ->
        Stage.to_producer({pid, tag}, {:cancel, :unknown_subscription})
        :ignored

      _ ->
        :ignored
    end
  end

  def handle(consumer, {:DOWN, tag, :process, pid, reason}) do
    case consumer.producers do
      %{^tag => ^pid} -> {:cancelled, tag, reason, forget(consumer, tag)}
      _ -> :unknown
    end
  end

  def handle(_consumer, _message), do: :unknown

  defp forget(consumer, tag), do: %{consumer | producers: Map.delete(consumer.producers, tag)}
end
