defmodule Comporta.ProfileTest do
  use ExUnit.Case, async: true

  alias Comporta.Profile

  test "what frames say of steps adds up, and nothing else" do
    Profile.add("profiled", %{kind: :result, decode_us: 3, transform_us: 5, count: 7})
    Profile.add("profiled", %{decode_us: 4, sum_us: -1, fold_us: "9"})

    assert %{decode_us: 7, transform_us: 5, sum_us: 0, fold_us: 0, begun: 0, elapsed_us: 0} =
             Profile.all("profiled")

    refute Map.has_key?(Profile.all("profiled"), :count)
  end

  test "a worker is busy with its own steps, and not while it waits for claims" do
    assert Profile.busy_us(%{decode_us: 1, transform_us: 20, claim_us: 300, sum_us: 4_000, fetch_us: 9, id: 7}) ==
             4_021

    assert Profile.busy_us(%{decode_us: -1, sum_us: "9"}) == 0
  end

  test "a batch waits from its arrival until a worker begins with it" do
    arrived_at = Profile.arrived("waited")
    assert Profile.arrived("waited") >= arrived_at
    Profile.begun("waited", arrived_at)
    assert %{begun: 1, wait_us: waited, elapsed_us: elapsed} = Profile.all("waited")
    assert 0 <= waited and waited <= elapsed
  end

  test "of a pipeline that never ran all is zero" do
    assert Profile.all("unprofiled") |> Map.values() |> Enum.uniq() == [0]
  end
end
