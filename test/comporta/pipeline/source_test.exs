defmodule Comporta.Pipeline.SourceTest do
  use ExUnit.Case, async: true

  alias Comporta.Pipeline.Source
  alias Comporta.Stage.Producer

  test "a source that is drained stays so, whatever becomes of the store meanwhile" do
    state = %Source{run: %{name: "source test"}, producer: Producer.new(), draining: :done}

    for event <- [:lost, {:lost, "access/0"}] do
      assert {:noreply, %{draining: :done}} = Source.handle_info({:store, event}, state)
    end
  end
end
