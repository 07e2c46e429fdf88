"""Training loop of all trained methods: counts iterations, resumes exactly and keeps a time limit.

    with seeded(context):
        model = Network(...)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        sampler = Sampler(len(train), batch_size, context.rng)
        train(model, loss, sampler, optimizer, plan=Plan(1000), context=context, title="train")

`loss(batch)` gathers its inputs by `batch.indices` (usually features in memory) and returns a scalar.
Test images cannot be reached from here: the result is the last state, never the best one on the way.
"""
