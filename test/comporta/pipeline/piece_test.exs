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

  # Runs pieces of a slice of record batches, `{first, next}` each, as workers would: where decoding one of the guilty
  # ones kills. Gives the ranges that were decoded, those of the verdicts, and how many workers died.
  defp isolate_undecoded(batch, record_batches, guilty) do
    isolate_undecoded([Piece.whole(batch)], record_batches, guilty, [], [], 0)
  end

  defp isolate_undecoded([], _record_batches, _guilty, done, verdicts, deaths),
    do: {Enum.sort(done), Enum.sort(verdicts), deaths}

  defp isolate_undecoded([%{verdict: nil} = piece | rest], record_batches, guilty, done, verdicts, deaths) do
    inside = Enum.filter(record_batches, fn {first, next} -> first < piece.next and piece.first < next end)
    {middle, _} = if length(inside) > 1, do: Enum.at(inside, div(length(inside), 2)), else: {nil, nil}
    piece = Piece.outlined(piece, length(inside) * 1_000, middle)

    if Enum.any?(inside, &(&1 in guilty)) do
      {:pieces, pieces} = Piece.charge(piece, @killed)
      isolate_undecoded(pieces ++ rest, record_batches, guilty, done, verdicts, deaths + 1)
    else
      isolate_undecoded(rest, record_batches, guilty, inside ++ done, verdicts, deaths)
    end
  end

  defp isolate_undecoded([piece | rest], record_batches, guilty, done, verdicts, deaths) do
    assert {:undecodable, _} = piece.verdict
    inside = Enum.filter(record_batches, fn {first, next} -> first < piece.next and piece.first < next end)
    isolate_undecoded(rest, record_batches, guilty, done, inside ++ verdicts, deaths)
  end

  test "what kills as it is decoded is halved between record batches, without ever being decoded" do
    :rand.seed(:exsss, {1, 2, 3})

    for _ <- 1..200 do
      count = Enum.random(1..40)
      record_batches = for number <- 0..(count - 1), do: {number * 1_000, number * 1_000 + 1_000}
      guilty = Enum.take_random(record_batches, Enum.random(0..3))
      slice = batch(Enum.random(0..999), count * 1_000)
      {done, verdicts, deaths} = isolate_undecoded(slice, record_batches, guilty)
      assert verdicts == Enum.sort(guilty)
      assert done == Enum.sort(record_batches -- guilty)
      assert deaths <= length(guilty) * (3 + 6)
    end
  end

  test "a lone record batch whose decoding kills three workers is made letters of without being decoded" do
    piece = Piece.outlined(Piece.whole(batch(0, 1_000)), 1_000, nil)
    {:pieces, [piece]} = Piece.charge(piece, @killed)
    assert Piece.fresh?(piece)
    {:pieces, [piece]} = Piece.charge(piece, @killed)
    {:pieces, [piece]} = Piece.charge(piece, %Death{cause: :signal, detail: 11})
    assert {:undecodable, words} = piece.verdict
    assert words =~ "SIGSEGV"
    assert %{first: 0, next: 1_000, reason: "undecodable", verdict: ^words} = Piece.header(piece, 1, false)
    refute Piece.fresh?(piece)
  end

  test "letters of a record batch that are too many for a worker are made by halves" do
    piece = %{Piece.whole(batch(0, 1_000)) | verdict: {:undecodable, "killed"}}
    piece = piece |> Piece.outlined(1_000, nil) |> Piece.decoded(0, 500)
    assert {:pieces, [one, two]} = Piece.charge(piece, @killed)
    assert {{one.first, one.next}, {two.first, two.next}} == {{0, 500}, {500, 1_000}}
    assert one.verdict == piece.verdict and two.verdict == piece.verdict
  end

  test "records that are decoded and kill are found by halving among them, whatever headers showed" do
    piece = Piece.whole(batch(0, 2_000)) |> Piece.outlined(2_000, 1_000) |> Piece.decoded(2_000, 700)

    assert {:pieces, [%{first: 0, next: 700}, %{first: 700, next: 2_000} = half]} =
             Piece.charge(piece, @killed)

    assert {half.count, half.middle, half.decoded?} == {nil, nil, false}
  end

  test "a middle that halves nothing is none" do
    for middle <- [0, 10] do
      piece = Piece.decoded(Piece.whole(batch(0, 10)), 3, middle)
      assert {:pieces, [%{first: 0, next: 10, deaths: 1}]} = Piece.charge(piece, @killed)
    end
  end

  test "a record whose letter kills as it is decoded again gets one without" do
    piece = Piece.decoded(Piece.whole(batch(0, 1)), 1, nil)
    piece = Enum.reduce(1..3, piece, fn _, piece -> charged(piece) end)
    assert {:crash, _} = piece.verdict
    piece = Enum.reduce(1..3, piece, fn _, piece -> charged(piece) end)
    assert {:undecodable, _} = piece.verdict
    piece = Enum.reduce(1..2, piece, fn _, piece -> charged(piece) end)
    assert :hopeless = Piece.charge(piece, @killed)
  end

  test "what kills before anything is said of it is given up in words" do
    piece = Enum.reduce(1..2, Piece.whole(batch(0, 10)), fn _, piece -> charged(piece) end)
    assert :hopeless = Piece.charge(piece, @killed)
  end

  defp charged(piece) do
    {:pieces, [piece]} = Piece.charge(piece, @killed)
    piece
  end
end
