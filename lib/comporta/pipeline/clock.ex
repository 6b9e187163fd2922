defmodule Comporta.Pipeline.Clock do
  @moduledoc """
  How long a worker may still take for its oldest batch: a timer that can stand still.

  When the time is over, the process that started the clock gets `{:time_over, ref}`; `look/3` tells whether that is
  this clock's, and not one that was stopped meanwhile. A BEAM that stood still cannot tell who would have been in time:
  it finds all times over at once when it goes on, later than they were due, and they begin anew.
  """

  # Milliseconds by which a timer of a BEAM that has much to do may be late.
  @late 1_000

  defstruct timer: nil, ref: nil, left: nil, time: 0, due: 0

  @opaque t :: %__MODULE__{
            timer: reference | nil,
            ref: reference | nil,
            left: non_neg_integer | nil,
            time: non_neg_integer,
            due: integer
          }

  @doc "A clock that does not run."
  @spec stopped() :: t
  def stopped, do: %__MODULE__{}

  @doc "Starts anew, with `milliseconds` to go."
  @spec start(t, non_neg_integer) :: t
  def start(clock, milliseconds) do
    _ = stop(clock)
    ref = make_ref()
    timer = Process.send_after(self(), {:time_over, ref}, milliseconds)
    %__MODULE__{timer: timer, ref: ref, time: milliseconds, due: now() + milliseconds}
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

  @doc "What it means that the time of `ref` is over: `:over`, or that this clock, as it is now, goes on."
  @spec look(t, reference, integer) :: :over | t
  def look(clock, ref, now \\ now())

  def look(%{ref: ref, time: time, due: due} = clock, ref, now) do
    if now - due > max(@late, div(time, 2)), do: start(clock, time), else: :over
  end

  def look(clock, _ref, _now), do: clock

  defp now, do: System.monotonic_time(:millisecond)
end
