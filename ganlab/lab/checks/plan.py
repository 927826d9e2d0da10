"""What each exercise asks of a student: stars, minutes of work, points.

The rule. Stars say how hard an exercise is, minutes how long somebody works on it who has read
the chapter and opens the hints one after the other: 5 to 15 for one star, 10 to 25 for two, 15 to
40 for three, in steps of five. They were judged by reading each exercise and its solution: a
formula that the chapter has just derived is short, an own derivation is long. One point stands
for five minutes of work. Where a network is trained, the minutes in which one waits for it are
`wait`: a lab must have room for them, but they earn nothing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """One exercise: its stars, the minutes of work and those of waiting."""

    stars: int
    minutes: int
    wait: int = 0

    @property
    def points(self) -> int:
        """One for five minutes of work."""
        return self.minutes // 5


#: Minutes that an exercise of one, two or three stars may take.
RANGES = {1: (5, 15), 2: (10, 25), 3: (15, 40)}

TASKS = {
    # 1, generative models
    "1.1": Task(1, 5),
    "1.2": Task(1, 15),  # short in code, but three things have to be right
    "1.3": Task(2, 20),
    "1.4": Task(2, 10),
    "1.5": Task(3, 20),
    # 2, the minimax game
    "2.1": Task(1, 10),
    "2.2": Task(1, 10),
    "2.3": Task(2, 20),
    "2.4": Task(2, 20),
    "2.5": Task(3, 30),
    "2.6": Task(3, 40),  # a derivation from the derivative backwards
    # 3, a first GAN
    "3.1": Task(1, 15),
    "3.2": Task(1, 15),
    "3.3": Task(2, 15),
    "3.4": Task(2, 10),  # chapter 2 has derived it
    "3.5": Task(3, 30, wait=15),
    # 4, DCGAN
    "4.1": Task(1, 10),
    "4.2": Task(1, 15),
    "4.3": Task(2, 20),
    "4.4": Task(2, 15),
    "4.5": Task(3, 35),
    "4.6": Task(2, 20, wait=10),
    "4.7": Task(2, 20),
    # 5, dynamics
    "5.1": Task(1, 10),
    "5.2": Task(1, 10),
    "5.3": Task(2, 20),
    "5.4": Task(2, 10),
    "5.5": Task(3, 25),
    "5.6": Task(3, 25),
    # 6, the Wasserstein distance
    "6.1": Task(1, 5),
    "6.2": Task(1, 5),
    "6.3": Task(2, 20),
    "6.4": Task(2, 15),
    "6.5": Task(2, 15),
    "6.6": Task(3, 30),
    # 7, objectives and regularisers
    "7.1": Task(1, 10),
    "7.2": Task(1, 10),
    "7.3": Task(2, 15),
    "7.4": Task(2, 20),
    "7.5": Task(2, 20),
    "7.6": Task(3, 30),
    # 8, tricks of the trade
    "8.1": Task(1, 10),
    "8.2": Task(2, 15),
    "8.3": Task(2, 15),
    "8.4": Task(2, 25),  # curves have to be looked at first
    "8.5": Task(3, 25),
    # 9, evaluation
    "9.1": Task(1, 10),
    "9.2": Task(2, 25),
    "9.3": Task(2, 20),
    "9.4": Task(2, 15),
    "9.5": Task(2, 20),
    "9.6": Task(3, 30),
    # 10, StyleGAN
    "10.1": Task(1, 10),
    "10.2": Task(2, 15),
    "10.3": Task(2, 20),
    "10.4": Task(2, 15),
    "10.5": Task(3, 30),
    # 11, latent space
    "11.1": Task(1, 10),
    "11.2": Task(2, 15),
    "11.3": Task(2, 15),
    "11.4": Task(2, 20),
    "11.5": Task(3, 35),
}

#: Exercises whose check asks the same of everybody, whatever `GANLAB_CHECK_SEED` says, and why.
SAME_FOR_ALL = {
    "3.5": "it scores a trained generator, which is trained anew in a re-run",
    "4.6": "it scores a trained generator, which is trained anew in a re-run",
    "4.7": "it looks at how two networks are built, which has no cases",
    "8.4": "it asks for verdicts on the stored runs, which are the same for everybody",
}


def chapter_of(exercise: str) -> int:
    """The chapter of an exercise: 2 for "2.1"."""
    return int(exercise.split(".")[0])


def of_chapter(chapter: int) -> dict[str, Task]:
    """The exercises of one chapter, in order."""
    return {number: task for number, task in TASKS.items() if chapter_of(number) == chapter}
