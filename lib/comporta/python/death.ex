defmodule Comporta.Python.Death do
  @moduledoc """
  How a Python process ended.

  | `cause` | `detail` |
  | --- | --- |
  | `:exit` | the exit status, an integer |
  | `:signal` | the signal's number |
  | `:closed` | nothing: it closed its socket, and was killed for it |
  | `:not_started` | what the system had to say against starting it |
  | `:start_timeout` | the milliseconds within which it was not ready |
  | `:refused` | why it will not run, in words for the user |
  | `:nonsense` | what it sent instead of a frame, in words |
  | `:memory` | the bytes of resident memory that it had |
  | `:timeout`, `:recycled`, or what else `Comporta.Python.kill/3` was told | the words that it was told |
  """

  @enforce_keys [:cause]
  defstruct [:cause, :detail, :os_pid]

  @type t :: %__MODULE__{cause: atom, detail: term, os_pid: pos_integer | nil}

  @signals %{
    1 => "SIGHUP",
    2 => "SIGINT",
    3 => "SIGQUIT",
    4 => "SIGILL",
    6 => "SIGABRT",
    7 => "SIGBUS",
    8 => "SIGFPE",
    9 => "SIGKILL",
    11 => "SIGSEGV",
    13 => "SIGPIPE",
    14 => "SIGALRM",
    15 => "SIGTERM",
    24 => "SIGXCPU",
    31 => "SIGSYS"
  }

  @doc """
  Cause and detail of a death by exit status, as a port tells it: 128 and the signal's number is that of a signal.

  `killed?` says that it was still there when it was killed for having closed its socket: then that is the cause.
  """
  @spec from_status(non_neg_integer | nil, boolean) :: {atom, term}
  def from_status(nil, _killed?), do: {:closed, nil}
  def from_status(137, true), do: {:closed, nil}
  def from_status(status, _killed?) when status in 129..192, do: {:signal, status - 128}
  def from_status(status, _killed?), do: {:exit, status}

  @doc "The death in words that follow the process's name, but for a refusal: that is a sentence of its own."
  @spec message(t) :: String.t()
  def message(%__MODULE__{cause: :exit, detail: status}), do: "exited with status #{status}"

  def message(%__MODULE__{cause: :signal, detail: signal}) do
    case @signals do
      %{^signal => name} -> "was killed by signal #{signal} (#{name})"
      _ -> "was killed by signal #{signal}"
    end
  end

  def message(%__MODULE__{cause: :closed}), do: "closed its connection"
  def message(%__MODULE__{cause: :start_timeout, detail: ms}), do: "was not ready within #{ms} ms"
  def message(%__MODULE__{cause: :not_started, detail: words}), do: "could not be started: #{words}"
  def message(%__MODULE__{cause: :refused, detail: words}), do: words
  def message(%__MODULE__{cause: :nonsense, detail: words}), do: "sent #{words}"

  def message(%__MODULE__{cause: :memory, detail: bytes}),
    do: "was killed: it used #{div(bytes, 1024 * 1024)} MiB of memory"

  def message(%__MODULE__{cause: :recycled}), do: "was recycled"
  def message(%__MODULE__{detail: words}), do: "was killed: #{words}"
end
