defmodule Comporta.Pipeline.Clock do
  @moduledoc """
  How long a worker may still take for its oldest batch: a timer that can stand still.

  When the time is over, the process that started the clock gets `{:time_over, ref}`; `over?/2` tells whether that is
  this clock's, and not one that was stopped meanwhile.
  """

  defstruct timer: nil, ref: nil, left: nil

  @opaque t :: %__MODULE__{timer: reference | nil, ref: reference | nil, left: non_neg_integer | nil}

  @doc "A clock that does not run."
  @spec stopped() :: t
  def stopped, do: %__MODULE__{}

  @doc "Starts anew, with `milliseconds` to go."
  @spec start(t, non_neg_integer) :: t
  def start(clock, milliseconds) do
    _ = stop(clock)
    ref = make_ref()
    %__MODULE__{timer: Process.send_after(self(), {:time_over, ref}, milliseconds), ref: ref}
  end

  @doc "Stops for good."
  @spec stop(t) :: t
  def stop(%{timer: nil}), do: stopped()

  def stop(%{timer: timer}) do
    _ = Process.cancel_timer(timer)
    stopped()
  end

  @doc "Stands still until `resume/1`."
  @spec pause(t) :: t
  def pause(%{timer: nil} = clock), do: clock
  def pause(%{timer: timer}), do: %__MODULE__{left: Process.cancel_timer(timer) || 0}

  @doc "Goes on with the time that was left; nothing where the clock does not stand still."
  @spec resume(t) :: t
  def resume(%{left: nil} = clock), do: clock
  def resume(%{left: left} = clock), do: start(clock, left)

  @doc "Whether the time of this clock is what is over."
  @spec over?(t, reference) :: boolean
  def over?(clock, ref), do: clock.ref == ref
end
