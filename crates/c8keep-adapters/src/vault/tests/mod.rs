mod folder;
mod objects;
mod scripted;
