"""The smallest of the files that are dear to read, with a limit of the kernel's on what they cost.

``benchmarks/hostile_budget.py`` measures all of them.  Here none may make the process that holds
the key burn fifteen seconds or a gibibyte and a half, however long the limits let it wait.
"""

import subprocess
import sys

import expensive_files
import pytest
from altered_evidence import honest
from cases import Scene

SMALL = (
    *("functions_in_a_chain", "functions_that_double", "one_name_for_all_nodes"),
    *("graphs_shared_by_graphs", "pictures_of_4096_pixels", "pictures_of_any_size"),
    *("a_million_pictures_at_a_time", "as_many_pictures_as_a_number_can_be"),
    *("an_endless_input_beside_the_pictures", "predictions_in_many_layouts", "a_loop_without_end"),
    *("triggers_of_ten_gigabytes", "a_million_small_triggers", "a_text_of_67_million_words"),
    *("one_trigger_of_classes_without_number", "two_predictions_of_classes_without_number"),
    *("classes_without_number", "lists_in_lists", "secret_images_of_four_gigabytes"),
)
CPU_SECONDS = 15
MOST_BYTES = 3 * 2**29
COMMAND = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv.pop(1)), resource.RLIM_INFINITY))
from wmx.cli import run
code = run(sys.argv[1:])
with open("/proc/self/status") as status:
    kib, = (line.split()[1] for line in status if line.startswith("VmHWM"))
print(code, int(kib) * 1024)
"""


def test_there_are_enough_of_them_for_the_benchmark() -> None:
    assert len(expensive_files.CASES) >= 40
    assert set(SMALL) <= set(expensive_files.CASES)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is looked at on Linux only")
@pytest.mark.parametrize("name", SMALL)
def test_what_is_dear_to_read_ends_in_words_and_within_the_limits(name: str, scene: Scene) -> None:
    scene.put("model.onnx", scene.model)
    scene.put("evidence.json", honest(scene).to_bytes())
    words = expensive_files.CASES[name](scene.folder)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            COMMAND,
            str(CPU_SECONDS),
            *words,
            "--seconds",
            "3",
            "--memory",
            "1",
        ],
        cwd=scene.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    code, resident = done.stdout.split()[-2:]
    assert code in ("3", "4")
    assert int(resident) < MOST_BYTES
    assert done.stderr.startswith("wmx: error: ")
    assert "Traceback" not in done.stderr
    assert "VERIFIED" not in done.stdout
