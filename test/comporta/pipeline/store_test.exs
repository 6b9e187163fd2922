defmodule Comporta.Pipeline.StoreTest do
  use ExUnit.Case, async: true

  alias Comporta.Pipeline.Store

  # The stage with this process in the place of Python's, of which it has had a result.
  defp folded(state \\ %Store{}) do
    %{state | run: %{name: "store test"}, python: self(), generation: "g", unflushed?: true}
  end

  defp cast(state, message), do: elem(Store.handle_cast(message, state), 1)
  defp info(state, message), do: elem(Store.handle_info(message, state), 1)

  defp flushed(state),
    do: info(state, {:python, self(), {:frame, %{kind: :flushed, id: state.flush, flush_us: 1}, ""}})

  # How many flushes Python was asked for since the last time.
  defp flushes(count \\ 0) do
    receive do
      {:"$gen_cast", _frame} -> flushes(count + 1)
    after
      0 -> count
    end
  end

  test "a flush that is asked for while one is under way comes right after it" do
    state = folded() |> cast(:flush)
    assert flushes() == 1
    state = folded(state) |> cast(:flush)
    assert flushes() == 0
    state = flushed(state)
    assert flushes() == 1
    flushed(state)
    assert flushes() == 0
  end

  test "not where nothing was folded meanwhile" do
    folded() |> cast(:flush) |> cast(:flush) |> flushed()
    assert flushes() == 1
  end

  test "a store that is not ready has nothing to flush, however long it waits" do
    state = info(%Store{run: %{name: "store test"}}, :watch)
    assert {:reply, :ok, _state} = Store.handle_call(:flush_and_wait, {self(), make_ref()}, state)
  end

  test "one that is due while another is under way waits for the next interval" do
    state = folded() |> info(:flush)
    state = folded(state) |> info(:flush) |> flushed()
    assert flushes() == 1
    info(state, :flush)
    assert flushes() == 1
  end
end
