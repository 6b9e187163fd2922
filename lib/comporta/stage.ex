defmodule Comporta.Stage do
  @moduledoc """
  Demand-driven stages, in the message protocol that GenStage documents for third-party implementations.

  A stage is an ordinary `GenServer` that holds one or both halves of the protocol as plain data: a
  `Comporta.Stage.Producer` hands events to whoever subscribed, never more than they asked for; a
  `Comporta.Stage.Consumer` subscribes, asks and receives. A stage passes every message it does not know to its
  halves. Because the messages are GenStage's own, a GenStage or Broadway process can subscribe to a Comporta stage,
  and a Comporta stage to any GenStage producer, and neither library is a dependency.

  ## The messages

  To a producer, `{:"$gen_producer", {consumer_pid, tag}, message}`:

    * `{:subscribe, current, options}`: the consumer MUST monitor the producer before it sends this. `current`, where
      it is not `nil`, is `{tag, reason}` of a subscription that is cancelled first. The producer MUST monitor the
      consumer, and MUST answer with a cancellation where the tag is known already.
    * `{:ask, count}`: raises the demand of that subscription; answered with a cancellation where it is unknown.
    * `{:cancel, reason}`: the producer MUST confirm with a cancellation, also where the subscription is unknown.

  To a consumer, `{:"$gen_consumer", {producer_pid, tag}, message}`:

    * a non-empty list of events: where the subscription is unknown they MUST be ignored and a cancellation sent back.
    * `{:cancel, reason}`: the subscription has ended.

  Source: the moduledoc of [GenStage](https://hexdocs.pm/gen_stage/GenStage.html), "Message protocol overview".
  """

  @type tag :: term
  @type subscription :: {pid, tag}

  @doc "Sends a producer's message to a consumer."
  @spec to_consumer(subscription, term) :: :ok
  def to_consumer({pid, tag}, message), do: deliver(pid, {:"$gen_consumer", {self(), tag}, message})

  @doc "Sends a consumer's message to a producer."
  @spec to_producer(subscription, term) :: :ok
  def to_producer({pid, tag}, message), do: deliver(pid, {:"$gen_producer", {self(), tag}, message})

  # A peer on a node that is not connected must not hold the stage: the monitor tells of its end.
  defp deliver(pid, message) do
    _ = Process.send(pid, message, [:noconnect])
    :ok
  end
end
