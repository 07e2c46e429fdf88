"""Training for every trained method: one loop that counts iterations, resumes exactly, keeps its budget.

    with seeded(context):
        model = Network(...)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        sampler = Sampler(len(train), batch_size, context.rng)
        train(model, loss, sampler, optimizer, plan=Plan(1000), context=context, title="train")

`loss(batch)` gathers what it needs by `batch.indices` (features in memory, as a rule) and returns a scalar.
No test image can be reached from here: the last state is the result, never a better one along the way.
"""
