"""From a recipe and labelled frames to exported models.

One epoch, in order:

1. `epochs.Epochs.train_dataloader` draws the epoch's frames from the seed and the epoch's number.
2. `frame_dataset.FrameDataset` loads each frame, crops it and applies the random changes.
3. `learner.Learner.training_step` computes the loss of a batch (`losses`) in a network
   (`networks`); Lightning applies the optimizer, the learning rate and the moving average.
4. `Learner.validation_step` counts true and false pixels on the frames of the validation fold.
5. `Learner.on_validation_epoch_end` turns the counts into a Dice for each class and their mean, the
   score.
6. `checkpoints.Curve` adds a row to metrics.csv, and Lightning writes last.ckpt and, when the score
   is the best so far, best.ckpt.
7. `trainer.train` stops after the last epoch, or when the score no longer rises (`Patience`).

`fit` runs this for each model of a recipe and exports best.ckpt (`export`).
"""
