"""Skip-gram with negative sampling over sentences of entities, for entities that were never seen too."""
