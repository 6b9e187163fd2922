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
    piece = Piece.decoded(piece, length(inside), middle, false)

    if Enum.any?(inside, &(&1 in guilty)) do
      {:pieces, pieces} = Piece.charge(piece, @killed, nil)
      isolate(pieces ++ rest, offsets, guilty, done, verdicts)
    else
      isolate(rest, offsets, guilty, inside ++ done, verdicts)
    end
  end

  defp isolate([piece | rest], offsets, guilty, done, verdicts) do
    inside = Enum.filter(offsets, &(&1 >= piece.first and &1 < piece.next))
    isolate(rest, offsets, guilty, done, inside ++ verdicts)
  end

  # The offsets of some records with gaps between, and those among them that kill.
  defp some_records do
    offsets = Enum.scan(1..Enum.random(1..60), 0, fn _, offset -> offset + Enum.random(1..40) end)
    {offsets, Enum.take_random(offsets, Enum.random(0..4))}
  end

  test "halving finds exactly the guilty records, whichever and however many" do
    :rand.seed(:exsss, {1, 2, 3})

    for _ <- 1..200 do
      {offsets, guilty} = some_records()
      {done, verdicts} = isolate(batch(0, List.last(offsets) + 10), offsets, guilty)
      assert verdicts == Enum.sort(guilty)
      assert done == Enum.sort(offsets -- guilty)
    end
  end

  test "a lone record is poison after three deaths, on workers that must be fresh" do
    piece = Piece.decoded(Piece.whole(batch(0, 10)), 1, nil, false)
    refute Piece.fresh?(piece)
    {:pieces, [piece]} = Piece.charge(piece, @killed, nil)
    assert Piece.fresh?(piece)
    {:pieces, [piece]} = Piece.charge(piece, @killed, nil)
    {:pieces, [piece]} = Piece.charge(piece, %Death{cause: :memory, detail: 123}, nil)
    assert {:memory, words} = piece.verdict
    assert words =~ "memory"
    assert %{reason: "memory", verdict: ^words} = Piece.header(piece, 1, false, nil)
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
      {:pieces, pieces} = Piece.charge(piece, @killed, nil)
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
    {:pieces, [piece]} = Piece.charge(piece, @killed, nil)
    assert Piece.fresh?(piece)
    {:pieces, [piece]} = Piece.charge(piece, @killed, nil)
    {:pieces, [piece]} = Piece.charge(piece, %Death{cause: :signal, detail: 11}, nil)
    assert {:undecodable, words} = piece.verdict
    assert words =~ "SIGSEGV"

    assert %{first: 0, next: 1_000, reason: "undecodable", verdict: ^words} =
             Piece.header(piece, 1, false, nil)

    refute Piece.fresh?(piece)
  end

  test "letters of a record batch that are too many for a worker are made by halves" do
    piece = %{Piece.whole(batch(0, 1_000)) | verdict: {:undecodable, "killed"}}
    piece = piece |> Piece.outlined(1_000, nil) |> Piece.decoded(0, 500, false)
    assert {:pieces, [one, two]} = Piece.charge(piece, @killed, nil)
    assert {{one.first, one.next}, {two.first, two.next}} == {{0, 500}, {500, 1_000}}
    assert one.verdict == piece.verdict and two.verdict == piece.verdict
  end

  # Runs pieces as workers that can note would. Gives what was done, the verdicts, and how many workers died.
  defp name(batch, offsets, guilty), do: name([Piece.whole(batch)], offsets, guilty, [], [], 0)

  defp name([], _offsets, _guilty, done, verdicts, deaths), do: {Enum.sort(done), Enum.sort(verdicts), deaths}

  defp name([piece | rest], offsets, guilty, done, verdicts, deaths) do
    inside = Enum.filter(offsets, &(&1 >= piece.first and &1 < piece.next))
    middle = if length(inside) > 1, do: Enum.at(inside, div(length(inside), 2))
    found = Piece.decoded(piece, length(inside), middle, true)
    killer = Enum.find(inside, &(&1 in guilty))

    cond do
      piece.verdict ->
        name(rest, offsets, guilty, done, inside ++ verdicts, deaths)

      killer ->
        upto = Enum.find(offsets, piece.next, &(&1 > killer))
        noted = if Piece.careful?(piece), do: {killer, min(upto, piece.next)}
        {:pieces, pieces} = Piece.charge(found, @killed, noted)
        assert hd(pieces).first == piece.first and List.last(pieces).next == piece.next
        for {one, two} <- Enum.zip(pieces, tl(pieces)), do: assert(one.next == two.first)
        name(pieces ++ rest, offsets, guilty, done, verdicts, deaths + 1)

      true ->
        name(rest, offsets, guilty, inside ++ done, verdicts, deaths)
    end
  end

  test "notes name exactly the guilty records, at four deaths each" do
    :rand.seed(:exsss, {1, 2, 3})

    for _ <- 1..200 do
      {offsets, guilty} = some_records()
      {done, verdicts, deaths} = name(batch(0, List.last(offsets) + 10), offsets, guilty)
      assert verdicts == Enum.sort(guilty)
      assert done == Enum.sort(offsets -- guilty)
      assert deaths <= 4 * length(guilty)
    end
  end

  defp careful do
    {:pieces, [piece]} =
      batch(0, 100) |> Piece.whole() |> Piece.decoded(10, 50, true) |> Piece.charge(@killed, nil)

    piece
  end

  test "a first death has the whole range tried again, on a fresh worker that notes" do
    piece = careful()
    assert {piece.first, piece.next} == {0, 100}
    assert Piece.careful?(piece) and Piece.fresh?(piece)
    assert %{note: "/note"} = Piece.header(piece, 1, false, "/note")
  end

  test "the careful death is the first of three that the record is charged with" do
    assert {:pieces, [before, alone, rest]} = Piece.charge(careful(), @killed, {20, 30})
    assert Enum.map([before, alone, rest], &{&1.first, &1.next}) == [{0, 20}, {20, 30}, {30, 100}]
    assert Enum.map([before, alone, rest], &Piece.fresh?/1) == [false, true, false]
    alone = alone |> Piece.decoded(1, nil, true) |> charged()
    assert alone.verdict == nil
    assert {:crash, _} = charged(alone).verdict
  end

  test "a record at an end of the range leaves two parts" do
    assert {:pieces, [%{first: 0, next: 10}, %{first: 10, next: 100}]} =
             Piece.charge(careful(), @killed, {0, 10})

    assert {:pieces, [%{first: 0, next: 90}, %{first: 90, next: 100}]} =
             Piece.charge(careful(), @killed, {90, 100})
  end

  test "without a note that can be right the range is halved, and so are its halves" do
    for noted <- [nil, {90, 101}, {30, 30}, {30, 20}, {0, 100}, {100, 110}] do
      assert {:pieces, [%{first: 0, next: 50} = half, %{first: 50, next: 100}]} =
               Piece.charge(careful(), @killed, noted)

      assert {:pieces, [%{next: 20}, %{first: 20, next: 50}]} =
               half |> Piece.decoded(5, 20, true) |> Piece.charge(@killed, nil)
    end
  end

  test "what came before a noted record is halved if it kills after all" do
    {:pieces, [before, _alone, _rest]} = Piece.charge(careful(), @killed, {20, 30})

    assert {:pieces, [%{next: 10}, %{first: 10}]} =
             before |> Piece.decoded(2, 10, true) |> Piece.charge(@killed, nil)
  end

  test "a batch transform's range is halved at its first death" do
    piece = Piece.decoded(Piece.whole(batch(0, 100)), 10, 50, false)
    assert {:pieces, [%{next: 50}, %{first: 50}]} = Piece.charge(piece, @killed, nil)
  end

  test "records that are decoded and kill are found by halving among them, whatever headers showed" do
    piece = Piece.whole(batch(0, 2_000)) |> Piece.outlined(2_000, 1_000) |> Piece.decoded(2_000, 700, false)

    assert {:pieces, [%{first: 0, next: 700}, %{first: 700, next: 2_000} = half]} =
             Piece.charge(piece, @killed, nil)

    assert {half.count, half.middle, half.decoded?} == {nil, nil, false}
  end

  test "a middle that halves nothing is none" do
    for middle <- [0, 10] do
      piece = Piece.decoded(Piece.whole(batch(0, 10)), 3, middle, false)
      assert {:pieces, [%{first: 0, next: 10, deaths: 1}]} = Piece.charge(piece, @killed, nil)
    end
  end

  test "a record whose letter kills as it is decoded again gets one without" do
    piece = Piece.decoded(Piece.whole(batch(0, 1)), 1, nil, false)
    piece = Enum.reduce(1..3, piece, fn _, piece -> charged(piece) end)
    assert {:crash, _} = piece.verdict
    piece = Enum.reduce(1..3, piece, fn _, piece -> charged(piece) end)
    assert {:undecodable, _} = piece.verdict
    piece = Enum.reduce(1..2, piece, fn _, piece -> charged(piece) end)
    assert :hopeless = Piece.charge(piece, @killed, nil)
  end

  test "what kills before anything is said of it is given up in words" do
    piece = Enum.reduce(1..2, Piece.whole(batch(0, 10)), fn _, piece -> charged(piece) end)
    assert :hopeless = Piece.charge(piece, @killed, nil)
  end

  defp charged(piece) do
    {:pieces, [piece]} = Piece.charge(piece, @killed, nil)
    piece
  end
end
