"""Things to rank at first sight."""

EXAMPLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "how do I free memory on the GPU?",
        (
            "Call torch.cuda.empty_cache() to release cached blocks back to the driver.",
            "The cafeteria on the ground floor is open from 11:30 to 14:00.",
            "nvidia-smi lists the processes that hold GPU memory; stop the ones you do not need.",
            "A GPU renders images by running many small programs in parallel.",
            "Lower BATCH_SIZE when the server runs out of device memory under load.",
            "Free memory on a Linux host is shown by the command free -h.",
        ),
    ),
    (
        "why does the load balancer answer 503?",
        (
            "Every upstream was marked down: nginx answers 503 until fail_timeout has passed.",
            "The certificate of the load balancer expires in thirty days.",
            "A full request queue makes the server refuse work with 503 and Retry-After.",
            "HTTP status 404 means that there is no such page.",
            "Ein voller Warteschlangenpuffer führt dazu, dass Anfragen mit 503 abgelehnt werden.",
        ),
    ),
    (
        "what is the capital of France?",
        (
            "Paris has been the capital of France since the tenth century.",
            "Lyon is known for its food and its silk.",
            "France is a country in western Europe; its seat of government is in Paris.",
            "The capital of a company is the money that its owners put in.",
        ),
    ),
)
