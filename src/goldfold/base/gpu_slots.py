"""Assign each job GPUs of its own, by OS file locks, which the kernel frees when the job dies.

Lock files are in a folder that all users of a machine can reach. They are named after the physical device, so that two
containers that number a GPU differently still do not share it. The user's ``CUDA_VISIBLE_DEVICES`` names the devices
to choose from; within a scheduler's job, several goldfold jobs take turns on the devices allocated to it.
"""

import fcntl
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from goldfold.base.errors import ConfigError
from goldfold.base.file_locks import Lock, close, is_there, lock_file, no_umask, touch

DEVICE_FILES = Path("/dev")
DRIVER = Path("/proc/driver/nvidia/gpus")
SHARED_LOCKS = "/tmp/goldfold-gpu"
SCHEDULERS: dict[str, tuple[str, ...]] = {"SLURM_JOB_ID": (), "PBS_JOBID": (), "LSB_JOBID": ("LSB_JOBINDEX",)}
"""Variables with the job number of Slurm, PBS and LSF -> variables that distinguish jobs of an array."""
SLURM_DEVICES = ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS")
"""The node's numbers of the allocated devices; CUDA_VISIBLE_DEVICES may count from 0 in each step."""
NO_DEVICE = ("", "-1", "NoDevFiles")
"""Values of CUDA_VISIBLE_DEVICES that show no device; the last is Slurm's."""
KEEP_SECONDS = 5.0
"""Interval at which the holder of a lock refreshes its file."""
VISIBLE, ORDER = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"


@dataclass(frozen=True)
class Device:
    """A GPU, or a MIG part of one, that a job may take."""

    name: str
    """Index or id, as in CUDA_VISIBLE_DEVICES."""
    key: str
    """Key of the physical device; lock files are named after it."""
    uuid: str = ""


@dataclass(frozen=True)
class Place:
    """A place for one job on a device."""

    name: str
    jobs_beside: int
    locks: list[Lock]


def devices_of_machine() -> list[Device]:
    """List GPUs in CUDA's PCI bus order, without loading torch or waking the driver.

    CUDA numbers the GPUs that a container shows from 0. The minor number, that of the device file, is the same in every
    container. (The driver reports a UUID of question marks until the device wakes, so locks cannot be named after it.)
    """
    minors = {int(file.name.removeprefix("nvidia")) for file in DEVICE_FILES.glob("nvidia[0-9]*")}
    found = []
    for file in sorted(DRIVER.glob("*/information")):
        facts = dict(re.findall(r"^([\w ]+):\s+(.+?)\s*$", file.read_text(), re.MULTILINE))
        if int(facts.get("Device Minor", -1)) in minors:
            found.append((int(facts["Device Minor"]), facts.get("GPU UUID", "")))
    if len(found) < len(minors):
        found = [(minor, "") for minor in sorted(minors)]
    return [Device(str(index), f"gpu{minor}", uuid) for index, (minor, uuid) in enumerate(found)]


def devices_named(names: str) -> list[Device]:
    """List the devices that CUDA_VISIBLE_DEVICES shows: indices, ids of GPUs (or prefixes of them) or of MIG parts.

    CUDA silently drops an entry that it cannot parse and all that follow; here that is an error, as is a missing index.
    """
    if names.strip() in NO_DEVICE:
        return []
    listed, machine, shown = [name.strip(" ") for name in names.split(",")], devices_of_machine(), dict[str, Device]()
    for name in listed:
        if not re.fullmatch(r"[0-9]+|(GPU|MIG)-[0-9A-Za-z][0-9A-Za-z/-]*", name):
            raise ConfigError(
                f"{VISIBLE} is {names!r}: {name!r} is neither a number nor an id (GPU-... or MIG-...). "
                "Separate devices by commas, as in 0,1; -1 or nothing shows none."
            )
        if machine and name.isdecimal() and (len(name) > 9 or int(name) >= len(machine)):
            raise ConfigError(
                f"{VISIBLE} is {names!r}: there is no GPU {name}, only 0 to {len(machine) - 1}. Choose others."
            )
        device = Device(name, _key(name, machine))
        shown.setdefault(device.key, device)
    return list(shown.values()) if machine else []


def _key(name: str, machine: list[Device]) -> str:
    if name.isdecimal():
        return machine[int(name)].key if machine else name
    known = (device.key for device in machine if name.startswith("GPU-") and device.uuid.startswith(name))
    return next(known, _file_name(name))


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.-]", "_", text)


@contextmanager
def gpu_slot(count: int = 1, jobs_per_gpu: int = 1, poll_seconds: float = 1.0) -> Iterator[list[str]]:
    """Hold ``count`` GPUs, all at once, and show only those to this process; wait while they are taken.

    At most ``jobs_per_gpu`` jobs share a device; the one with the fewest jobs is taken first. Enter before torch is
    imported. The locks belong to this process: its children see the same devices but hold no locks.

    Yields:
        Names of the devices taken; empty if there is no GPU.

    Raises:
        ConfigError: CUDA_VISIBLE_DEVICES is not a list of devices, too few devices are visible, or the folder of locks
            cannot be used.
    """
    given = os.environ.get(VISIBLE)
    devices = devices_of_machine() if given is None else devices_named(given)
    if devices and len(devices) < count:
        which = ", ".join(device.name for device in devices)
        raise ConfigError(
            f"{count} GPUs for one job, but it may use only {which}. Make more visible, or request fewer."
        )
    if not devices:
        yield []
        return
    if given is not None:
        devices = _within_job(devices)
    taken, locks = _wait_for(devices, count, jobs_per_gpu, poll_seconds)
    os.register_at_fork(after_in_child=lambda: close(locks))  # a loader process may outlive us for some seconds
    variables = {VISIBLE: ",".join(taken)} | ({ORDER: "PCI_BUS_ID"} if given is None else {})
    with _kept_alive(locks), _environment(variables):
        yield taken


def _within_job(devices: list[Device]) -> list[Device]:
    """Key devices by the scheduler's job: an index may be valid only inside it, and so are the locks.

    No other job has its devices, so the first goldfold job in it never waits.
    """
    scheduler = next((name for name in SCHEDULERS if os.environ.get(name)), None)
    if not scheduler:
        return devices
    number = "-".join(os.environ.get(name, "") for name in (scheduler, *SCHEDULERS[scheduler]))
    on_node = next((os.environ[name].split(",") for name in SLURM_DEVICES if os.environ.get(name)), [])
    if len(set(on_node)) == len(devices):
        devices = [
            Device(device.name, f"gpu{known}") if device.name.isdecimal() else device
            for device, known in zip(devices, on_node, strict=False)
        ]
    return [Device(device.name, _file_name(f"{scheduler}-{number}-{device.key}")) for device in devices]


def _wait_for(devices: list[Device], count: int, jobs_per_gpu: int, seconds: float) -> tuple[list[str], list[Lock]]:
    """Wait until ``count`` devices are free at once; return their names and the locks that hold them."""
    waits = False
    while True:
        try:
            with _open_folder() as folder:  # opened each time: it may have been replaced
                found = _take(folder, devices, count, jobs_per_gpu)
        except OSError as error:
            raise ConfigError(
                f"{_path()}: GPU locks cannot be kept there ({error.strerror}). Remove it, or set the environment "
                "variable GOLDFOLD_LOCKS to a folder that all users of this machine's GPUs can write to."
            ) from error
        if found is not None:
            return found
        if not waits:
            names = ", ".join(device.name for device in devices)
            print(f"waiting for {count} of GPU {names}: in use by other jobs (locks: {_path()})", flush=True)
            waits = True
        time.sleep(seconds)


@contextmanager
def _kept_alive(locks: list[Lock]) -> Iterator[None]:
    """Keep the lock files in existence during the block; release the locks at its end."""
    ends, lost = threading.Event(), set[str]()

    def look() -> None:
        while not ends.wait(KEEP_SECONDS):
            with suppress(OSError), _open_folder() as folder:
                for place in range(len(locks)):
                    _keep(folder, locks, place, lost)

    keeper = threading.Thread(target=look, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ends.set()
        keeper.join()
        close(locks)


def _keep(folder: int, locks: list[Lock], place: int, lost: set[str]) -> None:
    """Touch a lock's file, so that no cleaner removes it as old; if it was removed, lock a new one."""
    lock = locks[place]
    if is_there(folder, lock):
        touch(lock.handle)
        return
    again = lock_file(folder, lock.name, lock.how)
    if again is not None:
        locks[place] = again
        os.close(lock.handle)
    elif lock.name not in lost:
        lost.add(lock.name)
        print(f"{_path()}/{lock.name} was removed, and another job now shares this GPU. Do not remove it.", flush=True)


def _path() -> Path:
    return Path(os.environ.get("GOLDFOLD_LOCKS") or SHARED_LOCKS)


@contextmanager
def _open_folder() -> Iterator[int]:
    """Open the folder of locks; create it, writable for all users, if it is missing.

    A link is followed only if the user named it: anybody could place one in /tmp.
    """
    path, follow = _path(), bool(os.environ.get("GOLDFOLD_LOCKS"))
    if not os.path.lexists(path):
        with suppress(FileExistsError), no_umask():
            path.mkdir(mode=0o1777)
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | (0 if follow else os.O_NOFOLLOW))
    try:
        yield handle
    finally:
        os.close(handle)


def _take(folder: int, devices: list[Device], count: int, jobs_per_gpu: int) -> tuple[list[str], list[Lock]] | None:
    """Take the ``count`` devices with the fewest jobs, or none; a lock lets one process search at a time."""
    door = lock_file(folder, "door.lock", fcntl.LOCK_EX)
    places = [place for device in devices if (place := _place(folder, device, jobs_per_gpu)) is not None]
    places.sort(key=lambda place: place.jobs_beside)
    n_taken = count if len(places) >= count else 0
    for place in places[n_taken:]:
        close(place.locks)
    close([door] if door is not None else [])
    if not n_taken:
        return None
    return [place.name for place in places[:count]], [lock for place in places[:count] for lock in place.locks]


def _place(folder: int, device: Device, jobs_per_gpu: int) -> Place | None:
    """Lock a place on a device; None if it is full.

    A job with ``jobs_per_gpu`` 1 locks the device exclusively, whatever other users' ``jobs_per_gpu`` is.
    """
    if jobs_per_gpu == 1:
        alone = lock_file(folder, f"{device.key}.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
        return None if alone is None else Place(device.name, 0, [alone])
    shared = lock_file(folder, f"{device.key}.lock", fcntl.LOCK_SH | fcntl.LOCK_NB)
    if shared is None:
        return None
    slots = [lock_file(folder, f"{device.key}-{n}.lock", fcntl.LOCK_EX | fcntl.LOCK_NB) for n in range(jobs_per_gpu)]
    free = [slot for slot in slots if slot is not None]
    close(free[1:] if free else [shared])
    return Place(device.name, len(slots) - len(free), [shared, free[0]]) if free else None


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables during the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
