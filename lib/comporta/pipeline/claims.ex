defmodule Comporta.Pipeline.Claims do
  @moduledoc """
  The claims of event ids, on behalf of workers: one Python process that speaks to the claim store.

  A worker's stage passes its worker's claims on and gets the answer as `{:claimed, ref, payload}`. A claim asked twice
  is answered alike, so that what a dead process left unanswered is simply asked of the next one.
  """

  use GenServer

  require Logger

  alias Comporta.{Backoff, Notes, Python}
  alias Comporta.Pipeline.{Run, Store}
  alias Comporta.Python.Death

  defstruct [:run, :generation, python: nil, ready?: false, asked: %{}, next_id: 1, backoff: Backoff.new()]

  @doc "Starts the claims of a pipeline."
  @spec start_link(Run.t()) :: GenServer.on_start()
  def start_link(run), do: GenServer.start_link(__MODULE__, run, name: Run.name(run, :claims))

  @doc "Asks for claims; the answer goes to `{pid, ref}` as `{:claimed, ref, payload}`."
  @spec claim(GenServer.server(), {pid, term}, binary) :: :ok
  def claim(claims, from, payload), do: GenServer.cast(claims, {:claim, from, payload})

  @impl true
  def init(run) do
    Process.flag(:trap_exit, true)
    Store.subscribe(Run.name(run, :store))
    {:ok, %__MODULE__{run: run}}
  end

  @impl true
  def handle_cast({:claim, from, payload}, %{next_id: id} = state) do
    state = %{state | asked: Map.put(state.asked, id, {from, payload}), next_id: id + 1}
    if state.ready?, do: ask(state, id)
    {:noreply, state}
  end

  @impl true
  def handle_info({:store, {:ready, generation}}, %{python: nil} = state) do
    {:noreply, start_python(%{state | generation: generation})}
  end

  def handle_info({:store, _event}, state), do: {:noreply, state}
  def handle_info(:start_python, %{python: nil} = state), do: {:noreply, start_python(state)}
  # It was started meanwhile, as the store became ready.
  def handle_info(:start_python, state), do: {:noreply, state}

  def handle_info({:python, python, {:ready, _header, _payload}}, %{python: python} = state) do
    state.asked |> Map.keys() |> Enum.sort() |> Enum.each(&ask(%{state | python: python}, &1))
    {:noreply, %{state | ready?: true}}
  end

  def handle_info({:python, python, {:frame, %{kind: :claimed} = header, payload}}, %{python: python} = state) do
    with %{id: id, lost: lost} when is_integer(lost) <- header,
         {{{pid, ref}, _asked}, asked} <- Map.pop(state.asked, id) do
      Notes.add(state.run.name, %{lost_claims: lost})
      send(pid, {:claimed, ref, payload})
      {:noreply, %{state | asked: asked, backoff: Backoff.reset(state.backoff)}}
    else
      _ ->
        Python.kill(python, :nonsense, "an answer to nothing")
        {:noreply, state}
    end
  end

  def handle_info({:python, _python, _message}, state), do: {:noreply, state}

  def handle_info({:EXIT, python, {:shutdown, %Death{cause: :refused} = death}}, %{python: python} = state) do
    Run.report(state.run, {:failed, Death.message(death)})
    {:stop, {:shutdown, :failed}, state}
  end

  def handle_info({:EXIT, python, {:shutdown, %Death{} = death}}, %{python: python} = state) do
    Logger.warning("claims #{Death.message(death)}; started again")
    {delay, backoff} = Backoff.next(state.backoff)
    Process.send_after(self(), :start_python, delay)
    {:noreply, %{state | python: nil, ready?: false, backoff: backoff}}
  end

  def handle_info({:EXIT, python, reason}, %{python: python} = state), do: {:stop, reason, state}
  def handle_info({:EXIT, _pid, _reason}, state), do: {:noreply, state}

  defp ask(state, id) do
    {_from, payload} = Map.fetch!(state.asked, id)
    Python.send_frame(state.python, %{kind: :claim, id: id}, payload)
  end

  defp start_python(state), do: %{state | python: Run.start_python(state.run, :claims, state.generation)}
end
