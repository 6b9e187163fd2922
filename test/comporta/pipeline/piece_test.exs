defmodule Comporta.Pipeline.PieceTest do
  use ExUnit.Case, async: true

  alias Comporta.Pipeline.{Batch, Piece}
  alias Comporta.Python.Death

  @killed %Death{cause: :signal, detail: 9}

  defp batch(first, next) do
    %Batch{
      partition: "file-a",
      shown: "a.log",
      assignment: 1,
      start: 0,
      format: :lines,
      base: first,
      first: first,
      next: next,
      count: 1,
      payload: ""
    }
  end

  # Runs pieces as workers would: any range that holds a guilty offset kills its worker. Returns the verdicts.
  defp isolate(batch, offsets, guilty) do
    isolate([Piece.whole(batch)], offsets, guilty, [], [])
  end

  defp isolate([], _offsets, _guilty, done, verdicts), do: {Enum.sort(done), Enum.sort(verdicts)}

  defp isolate([%{verdict: nil} = piece | rest], offsets, guilty, done, verdicts) do
    inside = Enum.filter(offsets, &(&1 >= piece.first and &1 < piece.next))
    middle = if length(inside) > 1, do: Enum.at(inside, div(length(inside), 2))
    piece = Piece.decoded(piece, length(inside), middle)

    if Enum.any?(inside, &(&1 in guilty)) do
      {:pieces, pieces} = Piece.charge(piece, @killed)
      isolate(pieces ++ rest, offsets, guilty, done, verdicts)
    else
      isolate(rest, offsets, guilty, inside ++ done, verdicts)
    end
  end

  defp isolate([piece | rest], offsets, guilty, done, verdicts) do
    inside = Enum.filter(offsets, &(&1 >= piece.first and &1 < piece.next))
    isolate(rest, offsets, guilty, done, inside ++ verdicts)
  end

  test "halving finds exactly the guilty records, whichever and however many" do
    :rand.seed(:exsss, {1, 2, 3})

    for _ <- 1..200 do
      offsets = Enum.scan(1..Enum.random(1..60), 0, fn _, offset -> offset + Enum.random(1..40) end)
      guilty = Enum.take_random(offsets, Enum.random(0..4))
      {done, verdicts} = isolate(batch(0, List.last(offsets) + 10), offsets, guilty)
      assert verdicts == Enum.sort(guilty)
      assert done == Enum.sort(offsets -- guilty)
    end
  end

  test "a lone record is poison after three deaths, on workers that must be fresh" do
    piece = Piece.decoded(Piece.whole(batch(0, 10)), 1, nil)
    refute Piece.fresh?(piece)
    {:pieces, [piece]} = Piece.charge(piece, @killed)
    assert Piece.fresh?(piece)
    {:pieces, [piece]} = Piece.charge(piece, @killed)
    {:pieces, [piece]} = Piece.charge(piece, %Death{cause: :memory, detail: 123})
    assert {:memory, words} = piece.verdict
    assert words =~ "memory"
    assert %{reason: "memory", verdict: ^words} = Piece.header(piece, 1, false)
  end

  test "a range that kills before it is decoded is halved blindly" do
    piece = Piece.whole(batch(0, 10))
    {:pieces, [piece]} = Piece.charge(piece, @killed)
    {:pieces, [piece]} = Piece.charge(piece, @killed)
    assert {:pieces, [%{first: 0, next: 5}, %{first: 5, next: 10}]} = Piece.charge(piece, @killed)
  end

  test "a record whose very burial kills is given up in words" do
    piece = %{Piece.whole(batch(0, 1)) | verdict: {:crash, "killed"}}
    {:pieces, [piece]} = Piece.charge(piece, @killed)
    {:pieces, [piece]} = Piece.charge(piece, @killed)
    assert :hopeless = Piece.charge(piece, @killed)
  end
end
