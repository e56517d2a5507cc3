"""Texts on which a model's precision is judged; nothing is fetched."""

from __future__ import annotations

QUERIES = (
    "how do I restart a service that does not answer",
    "what is the boiling point of water at high altitude",
    "symptoms of iron deficiency in adults",
)

DOCUMENTS = (
    "Use systemctl restart followed by the name of the unit; add --force only when it hangs.",
    "A process that ignores SIGTERM can be ended with SIGKILL, but will not clean up.",
    "Water boils at about 93 degrees Celsius at an altitude of 2,000 metres, because the air"
    " pressure is lower there than at sea level.",
    "At sea level water boils at 100 degrees Celsius.",
    "Fatigue, pale skin, shortness of breath and cold hands are common signs of too little iron.",
    "Spinach, lentils and red meat are rich in iron; vitamin C helps the body to take it up.",
    "The load balancer stops sending requests to a backend after three failed health checks.",
    "Mount Everest is 8,849 metres high. Climbers cook with pressure cookers, since food takes much"
    " longer to become done in water that boils at 71 degrees.",
    "The committee adopted the budget for the next year with eleven votes to two.",
    "Restless legs, brittle nails and headaches may have many causes; a blood test measures"
    " ferritin and tells whether the stores of iron are empty.",
    "If the service does not come back, look into its log first: most often a port is taken or a"
    " file is missing.",
    "The museum opens at ten and closes at six, except on Mondays.",
)


def kendall_tau(first: list[float], second: list[float]) -> float:
    """Kendall's rank correlation of two scorings of the same documents (tau-a): 1 the same order.

    A pair that one of them ties counts as neither agreement nor disagreement.
    """
    count = len(first)
    agree = 0
    for i in range(count):
        for j in range(i):
            a, b = first[i] - first[j], second[i] - second[j]
            agree += (a * b > 0) - (a * b < 0)
    return agree / (count * (count - 1) / 2)
