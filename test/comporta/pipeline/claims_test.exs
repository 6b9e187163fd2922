defmodule Comporta.Pipeline.ClaimsTest do
  use ExUnit.Case, async: true

  alias Comporta.Pipeline.Claims

  test "a process that was started as the store became ready is not started again when it was due" do
    state = %Claims{python: self()}
    assert Claims.handle_info(:start_python, state) == {:noreply, state}
  end
end
